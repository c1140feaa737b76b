"""Toys, one of each kind of addition: the edits of existing files, the new files, a check.

`python -m tests.additions NAME` runs a check in a copy of the package to which the edits were applied.
"""

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import MagicMock

import msgspec

import vcpd
from tests.analysis.markets import base_closes, series_of, walk
from tests.fakes.web import sources
from vcpd.analysis.explain import explain
from vcpd.analysis.positions import PositionSettings, report_positions
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.cli.main import main
from vcpd.config import load_configuration
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.portfolio import Lot, LotBook
from vcpd.domain.runs import RunContext
from vcpd.domain.setups import Setup
from vcpd.store.bar_files import write_bars
from vcpd.web.openapi import openapi_document
from vcpd.web.server import route_definitions


class Edit(NamedTuple):
    """`text` is written after the one place of a file that reads `anchor`."""

    file: str
    anchor: str
    text: str


@dataclass(frozen=True)
class Toy:
    """What is added, under the name that the table of docs/architecture.md gives it."""

    check: Callable[[], None]
    edits: Sequence[Edit]
    new_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def edited_files(self) -> set[str]:
        return {edit.file for edit in self.edits}


def apply(toy: Toy, root: Path) -> None:
    """Make the edits and the new files of a toy below `root`."""
    for edit in toy.edits:
        path = root / edit.file
        before = path.read_text(encoding="utf-8")
        assert before.count(edit.anchor) == 1, (edit.file, edit.anchor, before.count(edit.anchor))
        path.write_text(before.replace(edit.anchor, edit.anchor + edit.text), encoding="utf-8")
    for name, text in toy.new_files.items():
        assert not (root / name).exists(), name
        (root / name).write_text(text, encoding="utf-8")


def _output(*words: object) -> str:
    """What a command prints; it must succeed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([str(word) for word in words])
    assert code == 0, (words, code)
    return printed.getvalue()


def _panel() -> Panel:
    """One symbol with a base that holds every gate."""
    return build_panel([series_of("BASE", base_closes((24.0, 12.0, 6.0)))])


def _screened(**thresholds: Any) -> Setup:
    """The verdict on that symbol under changed thresholds, read as a configuration file's."""
    lines = [f"{name} = {value}" for name, value in thresholds.items()]
    configuration = _configuration("[screen]", *lines)
    return screen_rows(_panel(), range(1), ScreenParams(thresholds=configuration.screen)).setups[0]


def _configuration(*lines: str) -> Any:
    path = Path("toy.toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_configuration(path, {}).configuration


def _check_gate() -> None:
    """It decides, it is explained, its threshold is a setting."""
    setup = _screened()
    assert setup.passed
    assert setup.gates["toy"].passed
    strict = _screened(max_toy_pct=1.0)
    assert not strict.passed
    assert strict.group is None  # no base begins to be followed while the gate fails
    assert strict.nearest_miss == "would be a setup but for: toy depth 24.61 %, at most 1 %"
    assert "fails   toy depth 24.61 %, at most 1 %" in explain(strict)
    assert "max_toy_pct = 50.0" in _output("show-config", "--defaults")
    assert "max_toy_pct" in _output("show-config", "--markdown")


def _check_indicator() -> None:
    assert _screened().measures["toy_range_pct"] == 100.0


def _check_risk_metric() -> None:
    path = Path("bars.parquet")
    write_bars(path, [series_of(f"S{n}", walk(n, 300), seed=n) for n in range(6)])
    (score,) = json.loads(_output("risk", "--bars", path, "--symbol", "S1", "--json"))
    assert score["metrics"]["trend_toy"] == 7.0
    assert "trend_toy" in _output("risk", "--bars", path, "--symbol", "S1")


def _check_job() -> None:
    from vcpd.app.jobs import JobFactory  # noqa: PLC0415 - heavy, and this check's alone

    assert "[jobs.toy]" in _output("show-config", "--defaults")
    configuration = _configuration("[jobs.toy]", 'at = "07:00"', "[jobs.toys]", 'job = "toy"', 'at = "08:00"')
    assert "good" in _output("check-config", "--config", "toy.toml")
    jobs = JobFactory(*[MagicMock()] * len(fields(JobFactory))).build(configuration)
    assert jobs["toy"].policy.schedule == "07:00"
    context = RunContext(1, "toys", datetime(2026, 1, 5, tzinfo=UTC), date(2026, 1, 5))
    assert asyncio.run(_result(jobs["toys"], context)).reason == "played"


async def _result(job: Any, context: RunContext) -> Any:
    return await job.run(context)


def _check_command() -> None:
    listed = io.StringIO()
    with contextlib.redirect_stdout(listed), contextlib.suppress(SystemExit):
        main(["--help"])
    assert "play with a toy" in listed.getvalue()
    assert _output("toy", "--times", 2) == "toy toy\n"
    assert "vcpd toy" in _output("manual", "--format", "markdown")
    assert "toy" in _output("completion", "bash")


def _check_endpoint() -> None:
    definitions = route_definitions(sources())
    operation = openapi_document(definitions)["paths"]["/api/toys"]["get"]
    assert operation["summary"] == "Every toy."
    assert {"200", "400"} <= operation["responses"].keys()


def _check_configuration_key() -> None:
    assert _configuration("[collect]", "toys = 3").collect.toys == 3
    assert "good" in _output("check-config", "--config", "toy.toml")
    assert "toys = 1" in _output("show-config", "--defaults")
    assert "how many toys" in _output("show-config", "--markdown")


def _check_sell_rule() -> None:
    """It is read for each lot, and its threshold is a setting."""
    rules = _configuration("[positions]", "toy_gain_pct = 2.0").positions
    series = series_of("A", walk(1, 300))
    opened, close = series.sessions[-10].item(), float(series.close[-1])
    lot = Lot(number=1, symbol="A", opened=opened, quantity=10, entry=close / 1.015)
    book, last = LotBook(lots=(lot,)), series.sessions[-1].item()
    for limit, fires in ((2.0, False), (1.0, True)):
        settings = PositionSettings(rules=msgspec.structs.replace(rules, toy_gain_pct=limit))
        (position,) = report_positions(book, {"A": series}, last, settings).positions
        assert [reading.fires for reading in position.rules if reading.name == "toy"] == [fires]
    assert "toy_gain_pct = 1.0" in _output("show-config", "--defaults")


_GATE: Final = """    GateRule(
        "toy", "toy depth", "%", 2, lambda s: s.base_depth_pct, _toy, _toy, in_search=False
    ),
"""
_GATE_RANGE: Final = """def _toy(thresholds: Thresholds) -> Range:
    return Range(-math.inf, thresholds.max_toy_pct)


"""
_GATE_THRESHOLD: Final = """
    max_toy_pct: Annotated[float, msgspec.Meta(gt=0, le=60, description="toy depth, at most")] = 50.0"""
_JOB: Final = '''"""A toy job."""

from vcpd.domain.runs import RunContext, RunResult


async def play(context: RunContext) -> RunResult:
    """Play."""
    return RunResult(reason="played")
'''
_COMMAND: Final = '''"""`vcpd toy`: a toy command."""

import argparse

from vcpd.cli.command import EXIT_OK, set_action


def add_toy_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, toy, "vcpd toy --times 2")
    parser.add_argument("--times", type=int, default=1, help="how often")


def toy(arguments: argparse.Namespace) -> int:
    print(" ".join(["toy"] * arguments.times))
    return EXIT_OK
'''
_COMMAND_ARGUMENTS: Final = """def _add_toy(parser: argparse.ArgumentParser) -> None:
    from vcpd.cli.toy import add_toy_arguments

    add_toy_arguments(parser)


"""
_ENDPOINT: Final = '''
    @route("GET", "/api/toys", response=Listing[str], errors=(400,))
    async def toys(_: web.Request) -> web.Response:
        """Every toy."""
        return json_response(Listing(1, ["ball"]))
'''
_SELL_RULE: Final = """def toy(held: HeldLot, settings: SellRuleSettings) -> RuleReading | None:
    gain = held.measures.gain_pct
    return RuleReading(name="toy", fires=gain > settings.toy_gain_pct, text="toy gain", value=gain)


"""
TOYS: Final[Mapping[str, Toy]] = {
    "gate": Toy(
        _check_gate,
        (
            Edit("vcpd/analysis/gates.py", "STRUCTURE_RULES: Final = (\n", _GATE),
            Edit("vcpd/analysis/gates.py", "thresholds.max_risk_pct)\n\n\n", _GATE_RANGE),
            Edit("vcpd/analysis/thresholds.py", "reloadable: ClassVar[bool] = True\n", _GATE_THRESHOLD),
        ),
    ),
    "risk metric": Toy(
        _check_risk_metric,
        (
            Edit(
                "vcpd/analysis/risk/metric_names.py",
                'TREND_METRICS: Final = ("trend_crossings", "trend_r2"',
                ', "trend_toy"',
            ),
            Edit(
                "vcpd/analysis/risk/ranges.py",
                "out[row, 1] = _log_fit_r2(logs[row, start:])\n",
                "            out[row, 2] = 7.0\n",
            ),
        ),
    ),
    "indicator": Toy(
        _check_indicator,
        (
            Edit(
                "vcpd/analysis/indicators.py",
                "the next one's volume is measured against\n",
                "    toy_range_pct: float\n",
            ),
            Edit(
                "vcpd/analysis/indicators.py",
                "100 * atr / bars.close.item(t),\n        usual_volume,\n",
                "        100.0,\n",
            ),
        ),
    ),
    "job": Toy(
        _check_job,
        (
            Edit(
                "vcpd/app/jobs.py",
                "from vcpd.jobs.screen import ScoreRisk, Screen\n",
                "from vcpd.jobs.toy import play\n",
            ),
            Edit("vcpd/app/jobs.py", '        "instruments",\n', '        "toy",\n'),
            Edit("vcpd/app/jobs.py", '            "watch": self.watch,\n', '            "toy": play,\n'),
            Edit(
                "vcpd/schedule/default_policies.py",
                "def _collection_policies() -> dict[str, JobPolicy]:\n    return {\n",
                '        "toy": JobPolicy(cron="0 7 * * *"),\n',
            ),
        ),
        {"vcpd/jobs/toy.py": _JOB},
    ),
    "command": Toy(
        _check_command,
        (
            Edit("vcpd/cli/main.py", "    add_manual_arguments(parser)\n\n\n", _COMMAND_ARGUMENTS),
            Edit(
                "vcpd/cli/main.py",
                "COMMANDS: Final = (\n",
                '    Command("toy", "play with a toy", _add_toy),\n',
            ),
        ),
        {"vcpd/cli/toy.py": _COMMAND},
    ),
    "endpoint": Toy(
        _check_endpoint,
        (
            Edit(
                "vcpd/web/api_daemon.py", "return json_response(JobList(context.daemon.jobs()))\n", _ENDPOINT
            ),
            Edit("vcpd/web/api_daemon.py", "return [jobs, ", "toys, "),
        ),
    ),
    "sell rule": Toy(
        _check_sell_rule,
        (
            Edit("vcpd/analysis/sell_rules.py", "RULES: Final[tuple[Rule, ...]] = (\n", "    toy,\n"),
            Edit(
                "vcpd/analysis/sell_rules.py",
                "Rule = Callable[[HeldLot, SellRuleSettings], RuleReading | None]\n\n\n",
                _SELL_RULE,
            ),
            Edit(
                "vcpd/analysis/sell_rules.py",
                '; 0 switches a rule off."""\n\n    reloadable: ClassVar[bool] = True\n',
                '    toy_gain_pct: Annotated[float, msgspec.Meta(gt=0, description="toy gain")] = 1.0\n',
            ),
        ),
    ),
    "configuration key": Toy(
        _check_configuration_key,
        (
            Edit(
                "vcpd/jobs/settings.py",
                'and when they count as final."""\n\n    reloadable: ClassVar[bool] = True\n',
                '    toys: Annotated[int, msgspec.Meta(ge=0, description="how many toys")] = 1\n',
            ),
        ),
    ),
}


if __name__ == "__main__":
    assert Path(vcpd.__file__).is_relative_to(Path.cwd()), vcpd.__file__
    TOYS[sys.argv[1]].check()
