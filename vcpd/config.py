"""Configuration tree: read from TOML and the environment, validated as a whole."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from vcpd.alerts.settings import AlertSettings
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.crowding import CrowdingParameters
from vcpd.analysis.heat import HeatSettings
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.risk.parameters import RiskParameters
from vcpd.analysis.scans.request import ScanSettings
from vcpd.analysis.sell_rules import PositionRuleSettings
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.analysis.thresholds import Thresholds
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.config_file import read_toml
from vcpd.core.deprecated_names import ENVIRONMENT_PREFIX, SECTION_SEPARATOR, rename_table, rename_variables
from vcpd.core.errors import ConfigurationError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.exchange import Exchange
from vcpd.domain.quality_flags import QualityParameters
from vcpd.jobs.settings import BackupSettings, CollectSettings, UniverseSettings, WatchSettings
from vcpd.kite.settings import KiteSettings, LimitSettings, TickerSettings
from vcpd.plugins import (
    MARKET_GROUP,
    PluginTables,
    find_plugin_settings,
    load_market_plugin,
)
from vcpd.runtime.settings import DASK, DaemonSettings, DaskSettings, LogSettings, WorkerSettings
from vcpd.sandbox.settings import SandboxSettings
from vcpd.schedule.default_policies import default_policies
from vcpd.schedule.kept_calendar import with_calendar_files
from vcpd.schedule.policy import JobPolicy, ScheduleSettings, merge_policy
from vcpd.store.settings import StoreSettings
from vcpd.struct_reader import StructReader, is_struct, mapping_of_structs, struct_fields
from vcpd.web.settings import WebSettings


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting, one section per package."""

    daemon: DaemonSettings = DaemonSettings()
    sandbox: SandboxSettings = SandboxSettings()
    kite: KiteSettings = KiteSettings()
    limits: LimitSettings = LimitSettings()
    ticker: TickerSettings = TickerSettings()
    bhavcopy: BhavcopySettings = BhavcopySettings()
    store: StoreSettings = StoreSettings()
    backup: BackupSettings = BackupSettings()
    universe: UniverseSettings = UniverseSettings()
    collect: CollectSettings = CollectSettings()
    quality: QualityParameters = QualityParameters()
    screen: Thresholds = Thresholds()
    watch: WatchSettings = WatchSettings()
    regime: RegimeSettings = RegimeSettings()
    risk: RiskParameters = RiskParameters()
    size: SizingParameters = SizingParameters()
    crowding: CrowdingParameters = CrowdingParameters()
    scans: ScanSettings = ScanSettings()
    positions: PositionRuleSettings = PositionRuleSettings()
    heat: HeatSettings = HeatSettings()
    costs: CostSettings = CostSettings()
    workers: WorkerSettings = WorkerSettings()
    dask: DaskSettings = DaskSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    alerts: AlertSettings = AlertSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    markets: Annotated[
        Mapping[str, Any],
        PluginTables(MARKET_GROUP, "market"),
        msgspec.Meta(description="one table per market plug-in that has settings"),
    ] = msgspec.field(default_factory=dict)
    jobs: Annotated[Mapping[str, JobPolicy], msgspec.Meta(description="one table per job")] = msgspec.field(
        default_factory=default_policies
    )

    def __post_init__(self) -> None:
        """ValueError for sections that contradict each other."""
        if self.workers.engine == DASK and self.dask.scheduler is None:
            raise ValueError(f"workers.engine: {DASK} needs `scheduler` in the section [dask]")

    @property
    def exchange(self) -> Exchange:
        """The exchange whose instruments the configured market provides."""
        return load_market_plugin(self.daemon.market).exchange

    @property
    def time_zone(self) -> str:
        """The time zone of the schedule: the configured one, else that of the exchange."""
        return self.schedule.time_zone or self.exchange.calendar.time_zone

    @property
    def calendar(self) -> TradingCalendar:
        """The exchange's calendar with the additions below [schedule]; BadInputError if they contradict."""
        return self.schedule.calendar(self.exchange.calendar)


class LoadedConfiguration(msgspec.Struct, frozen=True):
    """A configuration, the origin of each value that is not a default, by dotted path, and its folder.

    `deprecated` lists the old spellings that were read, as `old -> new`.
    """

    configuration: Configuration
    origins: Mapping[str, str]
    folder: Path
    deprecated: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def state_dir(self) -> Path:
        """Absolute path of the directory below which the daemon writes."""
        return (self.folder / self.configuration.daemon.state_dir).resolve()

    @property
    def backup_folder(self) -> Path:
        """Absolute path of the folder of scheduled backups."""
        return self.state_dir / self.configuration.backup.folder


def load_configuration(path: Path, environment: Mapping[str, str] | None = None) -> LoadedConfiguration:
    """Read `path` and the overrides in `environment` (default: the process's).

    Raises ConfigurationError with every problem found, each with its path.
    """
    raw = read_toml(path)
    problems: list[str] = []
    renamed_keys = list(rename_table(raw, problems))
    variables, renamed_names = rename_variables(os.environ if environment is None else environment, problems)
    origins = dict.fromkeys(_leaf_paths(raw), path.name)
    problems += _apply_environment(raw, variables, origins)
    raw["jobs"] = _with_default_jobs(raw.get("jobs", {}), _market_job_defaults(raw, problems))
    reader = StructReader(problems)
    configuration = reader.struct(Configuration, raw, "")
    if reader.problems or configuration is None:
        raise ConfigurationError(sorted(reader.problems))
    folder = path.resolve().parent
    schedule = with_calendar_files(
        configuration.schedule, folder / configuration.daemon.state_dir, configuration.daemon.market
    )
    configuration = msgspec.structs.replace(configuration, schedule=schedule)
    renamed = (*renamed_keys, *renamed_names)
    return LoadedConfiguration(configuration, origins, folder, renamed, path.resolve())


def deprecation_warning(deprecated: Sequence[str]) -> str:
    """One sentence that names every old spelling; read for this release only."""
    return f"old names of settings, which the next release no longer reads: {', '.join(deprecated)}"


def unknown_variables(environment: Mapping[str, str], secrets: Iterable[str]) -> list[str]:
    """A sentence for each `VCPD_` variable that is neither a setting nor one of the `secrets`."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in secrets}
    return [
        f"{name}: no such variable; {_variable_hint(name.removeprefix(ENVIRONMENT_PREFIX).lower())}"
        for name in sorted(environment)
        if name.startswith(ENVIRONMENT_PREFIX) and SECTION_SEPARATOR not in name and name not in known
    ]


def _variable_hint(key: str) -> str:
    """The variables of the settings that are called `key`, or how such a variable is written."""
    sections = [
        name
        for name, kind in struct_fields(Configuration).items()
        if is_struct(kind) and key in struct_fields(kind)
    ]
    names = [f"{ENVIRONMENT_PREFIX}{section}{SECTION_SEPARATOR}{key}".upper() for section in sections]
    return f"expected {' or '.join(names) or 'VCPD_SECTION__KEY, such as VCPD_WEB__PORT'}"


def _leaf_paths(raw: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in raw.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _leaf_paths(value, f"{dotted}.")
        else:
            yield dotted


def _market_job_defaults(raw: Mapping[str, Any], problems: list[str]) -> Mapping[str, Mapping[str, Any]]:
    """The changes that the market makes to the default schedule, by job; notes a market that is unknown."""
    daemon = raw.get("daemon")
    market = daemon.get("market") if isinstance(daemon, dict) else None
    if not isinstance(market, str):
        return {}
    try:
        return load_market_plugin(market).job_defaults
    except ConfigurationError as error:
        problems += [f"daemon.market: {problem}" for problem in error.problems]
        return {}


def _with_default_jobs(given: Any, market_day: Mapping[str, Mapping[str, Any]]) -> Any:
    """Merge each given job table into the market's default schedule, so that a single key can be changed."""
    if not isinstance(given, dict):
        return given
    merged: dict[str, Any] = {
        name: merge_policy(msgspec.to_builtins(policy), market_day.get(name, {}))
        for name, policy in default_policies().items()
    }
    for name, table in given.items():
        both_tables = isinstance(table, dict) and name in merged
        merged[name] = merge_policy(merged[name], table) if both_tables else table
    return merged


def _apply_environment(
    raw: dict[str, Any], environment: Mapping[str, str], origins: dict[str, str]
) -> list[str]:
    """Merge variables such as `VCPD_WEB__PORT` or `VCPD_JOBS__RISK__CRON` into `raw`; return the problems."""
    problems = []
    for name in sorted(environment):
        parts = name.removeprefix(ENVIRONMENT_PREFIX).lower().split(SECTION_SEPARATOR)
        if not name.startswith(ENVIRONMENT_PREFIX) or len(parts) < 2:
            continue
        kind = _type_at(parts)
        if kind is None:
            problems.append(f"{name}: no such setting; expected VCPD_SECTION__KEY, such as VCPD_WEB__PORT")
            continue
        _set_path(raw, parts, _from_text(environment[name], kind))
        origins[".".join(parts)] = f"environment {name}"
    return problems


def _set_path(raw: dict[str, Any], parts: list[str], value: Any) -> None:
    table = raw
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        table = inner
    table[parts[-1]] = value


def _type_at(parts: list[str]) -> Any:
    """The declared type of a dotted path, or None where the tree has no such leaf."""
    kind: Any = Configuration
    for part in parts:
        if part_kind := mapping_of_structs(kind) or find_plugin_settings(kind, part):
            kind = part_kind
            continue
        fields = struct_fields(kind) if is_struct(kind) else {}
        if part not in fields:
            return None
        kind = fields[part]
    return None if is_struct(kind) else kind


def _from_text(text: str, kind: Any) -> Any:
    """Convert an environment variable's text to the declared type; returned as it is where that fails."""
    candidates: list[Callable[[], Any]] = [
        lambda: msgspec.convert(text, kind, strict=False),
        lambda: msgspec.json.decode(text.encode(), type=kind),
        lambda: msgspec.convert([item.strip() for item in text.split(",") if item.strip()], kind),
    ]
    for candidate in candidates:
        try:
            return msgspec.to_builtins(candidate())
        except (msgspec.ValidationError, msgspec.DecodeError):
            continue
    return text
