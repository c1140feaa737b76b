"""A configuration is judged as a whole, and every problem names its path."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcpd.cli.config import config_toml, toml_value
from vcpd.cli.main import main
from vcpd.config import Configuration, LoadedConfiguration, load_configuration, unknown_variables
from vcpd.core.deprecated_names import CONFIG_KEYS
from vcpd.core.errors import ConfigurationError

SHIPPED = Path(__file__).resolve().parents[2] / "config.toml"


def _load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> LoadedConfiguration:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path, environment or {})


def _problems(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, text, environment)
    return caught.value.problems


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert _load(tmp_path, "").configuration == Configuration()


def test_the_shipped_file_is_the_defaults_and_says_so_completely() -> None:
    assert load_configuration(SHIPPED, {}).configuration == Configuration()
    assert SHIPPED.read_text(encoding="utf-8") == config_toml(Configuration())


def test_each_default_that_is_commented_out_is_the_default(tmp_path: Path) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    chosen = [line.removeprefix("#") for line in lines if re.match(r"#\w+ = ", line)]
    assert len(chosen) > 200
    given = "\n".join(re.sub(r"^#(\w+ = |\[)", r"\1", line) for line in lines)
    loaded = _load(tmp_path, given)
    assert loaded.configuration == Configuration()


def test_the_market_alone_changes_the_schedule_of_the_shipped_file(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    loaded = _load(tmp_path, text.replace('#market = "sandbox"', 'market = "bhavcopy"', 1))
    expected = _load(tmp_path, '[daemon]\nmarket = "bhavcopy"\n').configuration
    assert loaded.configuration == expected
    assert expected.jobs["collect"] != Configuration().jobs["collect"]


def test_an_engine_without_its_cluster_is_refused(tmp_path: Path) -> None:
    text = '[workers]\nengine = "dask"\n'
    assert _problems(tmp_path, text) == ["workers.engine: dask needs `scheduler` in the section [dask]"]
    loaded = _load(tmp_path, text + '[dask]\nscheduler = "tcp://10.0.0.1:8786"\n').configuration
    assert (loaded.workers.engine, loaded.dask.scheduler) == ("dask", "tcp://10.0.0.1:8786")
    assert _problems(tmp_path, '[workers]\nengine = "spark"\n')[0].startswith("workers.engine:")


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    text = '[web]\nport = "eighty"\nprot = 1\n[workers]\ncount = 0\n[nonsense]\na = 1\n'
    problems = _problems(tmp_path, text)
    assert [problem.split(":")[0] for problem in problems] == [
        "nonsense",
        "web.port",
        "web.prot",
        "workers.count",
    ]


def test_an_unknown_key_names_its_likely_neighbour(tmp_path: Path) -> None:
    assert _problems(tmp_path, "[web]\nprot = 1\n") == ["web.prot: unknown key; did you mean `port`?"]


def test_impossible_values_say_what_was_expected(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "[web]\nport = 99999\n")
    assert problem == "web.port: expected `int` <= 65535, was 99999"


def test_a_word_that_is_none_of_a_few_is_answered_with_them(tmp_path: Path) -> None:
    """Alone, in a list of enumerated words, and in a table of tables."""
    text = '[daemon]\nmarket = "x"\n[sandbox.faults]\nticker = ["mute", "x"]\n[jobs.risk]\noverlap = "x"\n'
    assert sorted(_problems(tmp_path, text)) == [
        "daemon.market: expected one of bhavcopy, kite, sandbox, was 'x'",
        "jobs.risk.overlap: expected one of skip, queue, replace, was 'x'",
        "sandbox.faults.ticker: expected one of mute, garbage, close, slow, was ['mute', 'x']",
    ]


def test_weights_that_do_not_sum_to_one_are_no_configuration(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "[risk]\nweight_volatility = 0.9\n")
    assert problem.startswith("risk")


def test_one_key_of_a_job_may_be_changed_alone(tmp_path: Path) -> None:
    jobs = _load(tmp_path, '[jobs.collect]\ncron = "40 15 * * *"\n').configuration.jobs
    default = Configuration().jobs["collect"]
    assert jobs["collect"] == msgspec.structs.replace(default, cron="40 15 * * *", at=None)
    assert set(jobs) == set(Configuration().jobs)


def test_the_environment_wins_over_the_file_and_is_named_as_the_origin(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "[web]\nport = 1000\n", {"VCPD_WEB__PORT": "2000", "VCPD_LOG__LEVEL": "debug"})
    assert loaded.configuration.web.port == 2000
    assert loaded.configuration.log.level == "debug"
    assert loaded.origins["web.port"] == "environment VCPD_WEB__PORT"


def test_lists_in_the_environment_stand_with_commas(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "", {"VCPD_WEB__ALLOWED_HOSTS": "a.lan, b.lan"})
    assert loaded.configuration.web.allowed_hosts == ("a.lan", "b.lan")


def test_wrong_names_and_values_in_the_environment_are_problems(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "", {"VCPD_WEB__PORT": "many", "VCPD_WEB__PORK": "1"})
    assert len(problems) == 2
    assert any("VCPD_WEB__PORK" in problem for problem in problems)
    assert any("web.port" in problem for problem in problems)


def test_other_variables_with_the_prefix_are_left_alone(tmp_path: Path) -> None:
    assert _load(tmp_path, "", {"VCPD_DATA": "/somewhere"}).configuration == Configuration()


def test_a_stores_address_is_never_shown(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "[store]\ndsn = 5\n")
    assert problem.endswith("***")


@pytest.mark.parametrize(
    ("content", "said"), [("[web", "not valid TOML"), (None, "no such file"), (b"\xff\xfe", "cannot be read")]
)
def test_an_unreadable_file_is_exit_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes | None, said: str
) -> None:
    path = tmp_path / "c.toml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["check-config", "--config", str(path)]) == 78
    assert said in capsys.readouterr().err


def test_show_config_prints_values_with_origins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[store]\ndsn = "postgresql://me:opensesame@db/vcpd"\n[web]\nport = 9\n', encoding="utf-8"
    )
    assert main(["show-config", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "port = 9  # config.toml" in shown
    assert "postgresql://***@db/vcpd" in shown
    assert "opensesame" not in shown


JSON_LIKE = st.recursive(
    st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdef", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(section=st.sampled_from(Configuration.__struct_fields__), value=JSON_LIKE)
def test_whatever_a_section_holds_the_answer_is_a_configuration_or_problems(
    tmp_path: Path, section: str, value: object
) -> None:
    text = f"{section} = {toml_value(value)}\n"
    problems: list[str] = []
    try:
        _load(tmp_path, text)
    except ConfigurationError as error:
        problems = error.problems
    assert all(problem.startswith((section, str(tmp_path))) for problem in problems)


def test_the_daily_files_market_has_a_day_of_its_own(tmp_path: Path) -> None:
    """Its evening begins when bulletins are there; what the owner sets still wins."""
    text = '[daemon]\nmarket = "bhavcopy"\n'
    jobs = _load(tmp_path, text).configuration.jobs
    assert (jobs["collect"].at or "").startswith("session_close + 150min")
    assert not jobs["screen_intraday"].enabled
    changed = _load(tmp_path, text + '[jobs.collect]\ncron = "0 20 * * *"\n').configuration.jobs
    assert (changed["collect"].cron, changed["collect"].at) == ("0 20 * * *", None)
    assert changed["screen"] == jobs["screen"]


def test_a_date_that_is_holiday_and_session_is_a_bad_configuration(tmp_path: Path) -> None:
    """No restart mends it, so it must be known when the file is read, and not when the daemon starts."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[schedule]\nextra_holidays = [2027-02-07]\nextra_sessions = ["2027-02-07"]\n', encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match="schedule: 2027-02-07 is listed both"):
        load_configuration(path, {})


def _value_of(configuration: Configuration, path: str) -> object:
    value: object = configuration
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _renamed_settings() -> list[tuple[str, str]]:
    """Each old dotted path with an example where the table's name is free, and the new path."""
    examples = {"alerts": "mail", "jobs": "risk"}
    pairs = []
    for old, new in CONFIG_KEYS.items():
        path = old.replace("*", examples.get(old.split(".")[0], "*"))
        pairs.append((path, f"{path.rpartition('.')[0]}.{new}"))
    return pairs


@pytest.mark.parametrize(("old", "new"), _renamed_settings())
def test_an_old_key_sets_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    """In the file and in the environment; neither leaves the old name unmentioned."""
    default = _value_of(Configuration(), new)
    value = _other_value(new, default)
    section, _, key = old.rpartition(".")
    in_file = _load(tmp_path, f"[{section}]\n{key} = {toml_value(value)}\n")
    variable = f"VCPD_{old.upper().replace('.', '__')}"
    text = value if isinstance(value, str) else json.dumps(value)
    in_environment = _load(tmp_path, "", {variable: text})
    for loaded in (in_file, in_environment):
        expected = _load(tmp_path, _table(new, value)).configuration
        assert loaded.configuration == expected
        assert _value_of(loaded.configuration, new) != default
    assert in_file.deprecated == (f"{old} -> {new.rpartition('.')[2]}",)
    assert in_environment.deprecated == (f"{variable} -> VCPD_{new.upper().replace('.', '__')}",)


def _table(path: str, value: object) -> str:
    section, _, key = path.rpartition(".")
    return f"[{section}]\n{key} = {toml_value(value)}\n"


def _other_value(path: str, default: object) -> object:
    """A permitted value that is not the default."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default - 1 if ".max_" in path else default + 1
    if isinstance(default, float):
        return default * 0.9
    if isinstance(default, dict):
        return {"NSE:INFY": 2.0}
    return "screen" if isinstance(default, str) else ["collect"]


def test_a_setting_under_both_names_is_a_problem(tmp_path: Path) -> None:
    """In the file and in the environment, beside every other problem."""
    text = "[kite]\ntries = 3\nmax_attempts = 4\n[web]\nprot = 1\n"
    old, new = "VCPD_WORKERS__MAX_CASUALTIES", "VCPD_WORKERS__MAX_FAILED_SYMBOLS"
    assert _problems(tmp_path, text, {old: "1", new: "2"}) == [
        f"{old}: the old name of {new}, which is given as well",
        "kite.tries: the old name of max_attempts, which is given as well",
        "web.prot: unknown key; did you mean `port`?",
    ]


def test_the_environment_wins_whichever_name_each_source_uses(tmp_path: Path) -> None:
    """An old variable overrides a new key of the file, and the reverse."""
    old_variable = _load(tmp_path, "[kite]\nmax_attempts = 3\n", {"VCPD_KITE__TRIES": "7"})
    new_variable = _load(tmp_path, "[kite]\ntries = 3\n", {"VCPD_KITE__MAX_ATTEMPTS": "7"})
    assert old_variable.configuration.kite.max_attempts == new_variable.configuration.kite.max_attempts == 7


def test_one_warning_names_every_old_spelling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that printed JSON stays readable."""
    path = tmp_path / "config.toml"
    path.write_text("[kite]\ntries = 3\n[jobs.risk]\nbehind = []\n", encoding="utf-8")
    assert main(["show-config", "--json", "--config", str(path)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["configuration"]["kite"]["max_attempts"] == 3
    assert shown.err == (
        "vcpd: warning: old names of settings, which the next release no longer reads: "
        "kite.tries -> max_attempts, jobs.risk.behind -> not_during\n"
    )


def test_no_old_key_is_a_present_setting() -> None:
    """Else its value could not be set, and every new name must exist."""
    for old, new in _renamed_settings():
        _value_of(Configuration(), new)
        with pytest.raises(AttributeError):
            _value_of(Configuration(), old)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Some editors write one before the first character."""
    path = tmp_path / "config.toml"
    path.write_text("[web]\nport = 18192\n", encoding="utf-8-sig")
    assert load_configuration(path, {}).configuration.web.port == 18192


def test_a_variable_that_means_nothing_is_named_with_what_it_may_mean() -> None:
    environment = {
        "VCPD_STATE_DIR": "/x",
        "VCPD_HOST": "0.0.0.0",
        "VCPD_NONSENSE": "1",
        "VCPD_WEB__PORT": "1",
        "VCPD_KITE_API_SECRET": "s",
        "HOME": "/",
    }
    assert unknown_variables(environment, ["kite_api_secret"]) == [
        "VCPD_HOST: no such variable; expected VCPD_WEB__HOST",
        "VCPD_NONSENSE: no such variable; expected VCPD_SECTION__KEY, such as VCPD_WEB__PORT",
        "VCPD_STATE_DIR: no such variable; expected VCPD_DAEMON__STATE_DIR",
    ]


@pytest.mark.parametrize("name", ["https://a.example.org/", "a.lan:443", "a.lan/vcpd", "a b", ""])
def test_an_address_where_a_host_name_belongs_is_refused(tmp_path: Path, name: str) -> None:
    (problem,) = _problems(tmp_path, f'[web]\nallowed_hosts = ["b.lan", "{name}"]\n')
    assert "host names without scheme, port and path" in problem
    assert repr(name) in problem


@pytest.mark.parametrize("host", ["smtp.example.org:587", "smtp://smtp.example.org", "a b", "https://a/"])
def test_a_mail_host_with_more_than_its_name_is_refused(tmp_path: Path, host: str) -> None:
    (problem,) = _problems(tmp_path, f'[alerts.mail]\nhost = "{host}"\n')
    assert "the port is a setting of its own" in problem


@pytest.mark.parametrize("host", ["smtp.example.org", "192.0.2.1", "2001:db8::1", "mail-1.lan", "localhost"])
def test_a_mail_host_may_be_a_name_or_an_address(tmp_path: Path, host: str) -> None:
    loaded = _load(tmp_path, f'[alerts.mail]\nhost = "{host}"\n')
    assert loaded.configuration.alerts.mail.host == host
