"""Verbs that ask the running daemon, against its real port over scripted sources."""

import json
import re
import socket
from datetime import date
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from tests.cli.scripted_daemon import (
    ScriptedDaemon,
    ScriptedRuns,
    application_served,
    call,
    configuration,
    job_status,
    serving,
    sources,
    status,
)
from tests.fakes.web import SESSION, setup
from vcpd.cli.command import (
    EXIT_BAD_CONFIGURATION,
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TEMPORARY_FAILURE,
)
from vcpd.domain.facts import SetupFacts
from vcpd.domain.health import HealthReadings, score_health
from vcpd.domain.runs import Outcome
from vcpd.domain.setups import BaseState
from vcpd.runtime.engine_status import cluster_status
from vcpd.runtime.settings import DaskSettings

Capture = pytest.CaptureFixture[str]


async def test_status_says_in_plain_words_how_the_daemon_is(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources()) as path:
        assert await call("status", "--config", path) == EXIT_OK
    said = capsys.readouterr().out
    assert "vcpd 9.9: ready, up 2 h 5 min, pid 4711" in said
    assert "sandbox (simulated)" in said
    assert "2,412 symbols to 2025-06-27 (up to date), 3 left out" in said


async def test_a_market_without_login_is_not_due_for_one(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    daemon.said = status(login={"state": "not_needed", "reason": "", "expires_at": None})
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("status", "--config", path) == EXIT_OK
    said = capsys.readouterr().out
    assert "no login needed" in said
    assert "login due" not in said


async def test_status_names_every_problem_and_is_exit_1_while_not_ready(
    tmp_path: Path, capsys: Capture
) -> None:
    daemon = ScriptedDaemon()
    daemon.said = status(
        state="starting",
        scheduling=False,
        login={"state": "expired", "reason": "it is past six", "expires_at": None},
        configuration={"refused": ["web.port: too large"], "needs_restart": ["store"]},
        warnings=["the table ends soon"],
        engine=cluster_status(DaskSettings(scheduler="tcp://10.0.0.1:8786"), (), "no answer"),
        jobs=[
            job_status("collect", running={"done": 3, "total": 9, "note": "candles"}),
            job_status("screen", waiting=[{"waits_for": "after collect"}]),
            job_status("risk", last={"outcome": "failed", "scheduled_at": "2025-06-30T10:00:00Z", "reason": "boom"}),  # noqa: E501 - one job a line
            job_status("housekeeping", paused=True),
        ],
    )  # fmt: skip
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("status", "--config", path) == EXIT_FAILED
    said = capsys.readouterr().out
    for words in ("login due: it is past six", "another daemon", "web.port: too large", "restart: store",
                  "the table ends soon", "collect runs: 3 of 9, candles", "screen waits: after collect",
                  "engine   dask at tcp://10.0.0.1:8786, 0 workers, no answer",
                  "risk failed Mon 2025-06-30 15:30: boom", "housekeeping is paused"):  # fmt: skip
        assert words in said


async def test_status_gives_the_reasons_beside_the_score(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    daemon.said = status(health=score_health(HealthReadings(age_sessions=3)))
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("status", "--config", path) == EXIT_OK
    said = capsys.readouterr().out
    assert re.search(r"health   \d+ of 100\n {9}-\d+ data: .*3.*; ", said)


async def test_a_wrong_setting_elsewhere_does_not_hide_the_daemon(tmp_path: Path, capsys: Capture) -> None:
    """Its file may have been broken since it was started: then one wants to ask it most."""
    async with serving(tmp_path, sources()) as path:
        path.write_text(
            path.read_text(encoding="utf-8") + "[screen]\nno_such_setting = 1\n", encoding="utf-8"
        )
        assert await call("status", "--config", path) == EXIT_OK
        assert await call("check-config", "--config", path) == EXIT_BAD_CONFIGURATION
    assert "vcpd 9.9: ready" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[web]\nport = "high"', "web.port: expected a whole number, was 'high'"),
        ("[daemon]\nstate_dir = 7", "daemon.state_dir: expected a text, was 7"),
        ("[web", "not valid TOML"),
    ],
)
async def test_a_wrong_address_is_named(tmp_path: Path, capsys: Capture, text: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    assert await call("status", "--config", path) == EXIT_BAD_CONFIGURATION
    assert words in capsys.readouterr().err


class FridayDaemon(ScriptedDaemon):
    """The session before the Sunday that is asked for is the one that was screened."""

    def session_on(self, day: date) -> date:
        return SESSION if day == date(2025, 6, 29) else super().session_on(day)


async def test_a_day_without_session_means_the_one_before(tmp_path: Path, capsys: Capture) -> None:
    daemon = FridayDaemon()
    async with serving(tmp_path, sources(daemon, setups=[setup("NSE:INFY")])) as path:
        assert await call("setups", "--config", path, "--as-of", "2025-06-29") == EXIT_OK
        used = f"2025-06-29 is not a session: the one before, {SESSION}, is used"
        assert used in capsys.readouterr().err
        assert await call("setups", "--config", path, "--as-of", "2031-01-01") == EXIT_BAD_INPUT
        assert "as_of: 2031-01-01 is in the future" in capsys.readouterr().err


@pytest.mark.parametrize("login", [{"state": "not_needed", "reason": ""}, {"state": "valid", "reason": ""}])
async def test_a_market_without_login_asks_for_none(
    tmp_path: Path, capsys: Capture, login: dict[str, str]
) -> None:
    daemon = ScriptedDaemon()
    daemon.said = status(login=login)
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("status", "--config", path) == EXIT_OK
    said = capsys.readouterr().out
    assert "no login needed" in said
    assert "login due" not in said


async def test_without_a_daemon_the_sentence_says_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = configuration(tmp_path, port)
    for verb in (["status"], ["jobs"], ["setups"], ["collect"], ["screen"], ["jobs", "pause", "screen"]):
        assert await call(*verb, "--config", path) == EXIT_TEMPORARY_FAILURE
        assert f"no vcpd answers at 127.0.0.1:{port}" in capsys.readouterr().err


async def test_whoever_else_listens_there_is_not_mistaken_for_the_daemon(
    tmp_path: Path, capsys: Capture
) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/{any:.*}", page)])
    async with application_served(tmp_path, application) as path:
        assert await call("status", "--config", path) == EXIT_TEMPORARY_FAILURE
    assert "is not vcpd" in capsys.readouterr().err


async def test_a_port_of_any_number_cannot_be_asked(tmp_path: Path, capsys: Capture) -> None:
    assert await call("status", "--config", configuration(tmp_path, 0)) == EXIT_FAILED
    assert "[web] port = 0" in capsys.readouterr().err


async def test_jobs_lists_next_last_outcome_duration_and_misses(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    last = {"outcome": "failed", "scheduled_at": "2025-06-27T12:30:00Z", "reason": "[red]boom[/red]"}
    daemon.listed = [
        job_status("screen", last=last, last_duration_s=80.0, misses=2, retry_at="2025-06-27T13:00:00Z"),
        job_status("x", enabled=False),
    ]
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("jobs", "--config", path) == EXIT_OK
        said = capsys.readouterr().out
        shown = (
            "Mon 2025-06-30 15:35",
            "Fri 2025-06-27 18:00",
            "failed",
            "1 min 20 s",
            "again 18:30: [red]boom[/red]",
        )
        for words in (*shown, "disabled"):
            assert words in said
        assert await call("jobs", "--json", "--config", path) == EXIT_OK
    assert [job["misses"] for job in json.loads(capsys.readouterr().out)] == [2, 0]


async def test_jobs_are_paused_and_resumed_by_name(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("jobs", "--config", path, "pause", "collect") == EXIT_OK
        assert daemon.paused == {"collect"}
        assert await call("jobs", "resume", "collect", "--config", path) == EXIT_OK
        assert daemon.paused == set()
        assert await call("jobs", "pause", "nothing", "--config", path) == EXIT_BAD_INPUT
    assert "nothing: no such job" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.DONE, EXIT_OK),
        (Outcome.FAILED, EXIT_FAILED),
        (Outcome.CANCELLED, EXIT_TEMPORARY_FAILURE),
        (Outcome.SKIPPED, EXIT_TEMPORARY_FAILURE),
    ],
)
async def test_a_run_is_waited_for_and_its_outcome_is_the_exit_code(
    tmp_path: Path, capsys: Capture, outcome: Outcome, code: int
) -> None:
    runs, daemon = ScriptedRuns(outcome), ScriptedDaemon()
    daemon.listed = [job_status("collect", running={"done": 3, "total": 9, "note": "candles"})]
    async with serving(tmp_path, sources(daemon, runs=runs)) as path:
        assert await call("collect", "--session", "2025-06-30", "--config", path) == code
    assert runs.looks_left < 0
    said = capsys.readouterr().out
    assert f"collect for 2025-06-30: {outcome.value}: why" in said
    assert "1,200 inserted" in said


async def test_a_run_can_be_started_without_waiting(tmp_path: Path, capsys: Capture) -> None:
    runs, daemon = ScriptedRuns(Outcome.DONE, looks=10_000), ScriptedDaemon()
    async with serving(tmp_path, sources(daemon, runs=runs)) as path:
        assert await call("jobs", "run", "collect", "--no-wait", "--config", path) == EXIT_OK
    assert daemon.started == ["collect"]
    assert "run 7 has started" in capsys.readouterr().out


async def test_who_stops_waiting_learns_that_the_run_goes_on(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vcpd.cli.jobs.time.sleep", interrupted)
    async with serving(tmp_path, sources(runs=ScriptedRuns(Outcome.DONE, looks=10_000))) as path:
        assert await call("collect", "--config", path) == EXIT_INTERRUPTED
    assert "run 7 detached; it continues in the daemon" in capsys.readouterr().err


async def test_a_run_that_cannot_start_says_why(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("jobs", "run", "nothing", "--config", path) == EXIT_BAD_INPUT
        assert await call("collect", "--session", "2025-06-29", "--config", path) == EXIT_BAD_INPUT
        daemon.busy = True
        assert await call("collect", "--config", path) == EXIT_TEMPORARY_FAILURE
    said = capsys.readouterr().err
    assert "no such job" in said
    assert "Sunday" in said
    assert "already on its way" in said


SETUPS = (
    setup("NSE:AAA", score=70, rating=90, state=BaseState.NEAR_PIVOT),
    setup("NSE:BBB", score=40, rating=60),
    setup("NSE:CCC", passed=False),
)


async def test_setups_are_filtered_where_they_are(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources(setups=SETUPS)) as path:
        assert (
            await call("setups", "--min-score", 50, "--state", "NEAR_PIVOT", "--json", "--config", path)
            == EXIT_OK
        )
        found = json.loads(capsys.readouterr().out)
        assert [item["symbol"] for item in found["items"]] == ["NSE:AAA"]
        assert (found["as_of"], found["count"], found["groups"]["setup"]) == ("2025-06-30", 1, 2)
        assert (
            await call("setups", "--sort", "symbol", "--order", "desc", "--all", "--config", path) == EXIT_OK
        )
        said = capsys.readouterr().out
    assert said.index("NSE:BBB") < said.index("NSE:AAA") < said.index("NSE:CCC")  # in no group: last
    assert "after 2025-06-30; bases by group: setup 2, followed 0, above_pivot 0, ended 0" in said
    assert "3 match" in said


GROUPED = (
    msgspec.structs.replace(
        setup("NSE:OPEN", state=BaseState.FORMING),
        facts=SetupFacts(session=date(2025, 6, 30), results_on=date(2025, 7, 2), marks=("ASM stage 2",)),
    ),
    msgspec.structs.replace(
        setup("NSE:KEPT", state=BaseState.NEAR_PIVOT, score=99),
        tolerances=("holding by tolerance: final contraction 10.4 %, at most 10 %; stays up to 11 %",),
    ),
    msgspec.structs.replace(
        setup("NSE:LEFT", state=BaseState.FORMING, passed=False), group_reason="left 2025-06-27: rs rating 62"
    ),
    setup("NSE:AWAY", state=BaseState.EXTENDED),
    setup("NSE:OVER", state=BaseState.FAILED),
)


@pytest.mark.parametrize("verb", ["screen", "setups"])
async def test_the_first_group_is_shown_by_default_with_what_holds_by_tolerance_and_all_counts(
    verb: str, tmp_path: Path, capsys: Capture
) -> None:
    async with serving(tmp_path, sources(setups=GROUPED)) as path:
        assert await call(verb, "--config", path) == EXIT_OK
        said = capsys.readouterr().out
        assert "2 setups" in said
        assert "NSE:OPEN results on 2025-07-02; ASM stage 2" in said
        assert "NSE:KEPT holding by tolerance: final contraction 10.4 %, at most 10 %; stays up to" in said
        assert not any(name in said for name in ("LEFT", "AWAY", "OVER"))
        assert "bases by group: setup 2, followed 1, above_pivot 1, ended 1" in said
        assert await call(verb, "--group", "followed", "--config", path) == EXIT_OK
        said = capsys.readouterr().out
        assert "left 2025-06-27: rs rating 62" in said
        assert "NSE:OPEN" not in said
        assert await call(verb, "--group", "all", "--config", path) == EXIT_OK
        said = capsys.readouterr().out
    places = [said.index(f"NSE:{name}") for name in ("KEPT", "OPEN", "LEFT", "AWAY", "OVER")]
    assert places == sorted(places)


async def test_a_state_is_looked_for_in_every_group(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources(setups=GROUPED)) as path:
        assert await call("setups", "--state", "EXTENDED", "--config", path) == EXIT_OK
    assert "NSE:AWAY" in capsys.readouterr().out


async def test_screen_explain_and_risk_ask_the_daemon_where_no_file_is_named(
    tmp_path: Path, capsys: Capture
) -> None:
    async with serving(tmp_path, sources(setups=SETUPS)) as path:
        assert await call("screen", "--json", "--symbol", "aaa", "--config", path) == EXIT_OK
        assert [load["symbol"] for load in json.loads(capsys.readouterr().out)] == ["NSE:AAA"]
        assert await call("explain", "AAA", "--config", path) == EXIT_OK
        assert "NSE:AAA after 2025-06-30" in capsys.readouterr().out
        assert await call("explain", "ZZZ", "--config", path) == EXIT_BAD_INPUT
        assert await call("risk", "--config", path) == EXIT_OK
        assert "12.5" in capsys.readouterr().out


async def test_risk_of_one_symbol_is_shown_with_what_it_was_made_from(
    tmp_path: Path, capsys: Capture
) -> None:
    async with serving(tmp_path, sources(setups=SETUPS)) as path:
        assert await call("risk", "--symbol", "aaa", "--config", path) == EXIT_OK
        said = capsys.readouterr().out
        assert "NSE:AAA after 2025-06-30: 12.5 of 100, low" in said
        assert re.search(r"volatility +10\.0", said)
        assert re.search(r"beta +1\.1", said)
        assert await call("risk", "--symbol", "ZZZ", "--config", path) == EXIT_BAD_INPUT
        assert "ZZZ" in capsys.readouterr().err


async def test_a_session_that_was_never_judged_is_named(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources(setups=SETUPS)) as path:
        for words in (("risk",), ("risk", "--symbol", "AAA")):
            assert await call(*words, "--as-of", "2024-01-02", "--config", path) == EXIT_BAD_INPUT
            assert "2024-01-02 was never scored" in capsys.readouterr().err
        assert await call("setups", "--as-of", "2024-01-02", "--config", path) == EXIT_OK
        assert "2024-01-02 was never screened" in capsys.readouterr().out


async def test_crowding_is_reported_in_bets(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources()) as path:
        assert await call("setups", "--crowding", "--config", path) == EXIT_OK
        assert "about 0.0 independent bets" in capsys.readouterr().out
        past = ("--as-of", "2024-01-02")
        assert await call("setups", "--crowding", *past, "--config", path) == EXIT_BAD_INPUT
        assert "--crowding compares the latest setups" in capsys.readouterr().err


async def test_where_the_daemon_wants_a_token_it_is_taken_from_its_place(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, sources(token="open sesame, open sesame")) as path:
        assert await call("jobs", "pause", "collect", "--config", path) == EXIT_FAILED
        assert "Authorization: Bearer TOKEN" in capsys.readouterr().err
        monkeypatch.setenv("VCPD_WEB_TOKEN", "open sesame, open sesame")
        assert await call("jobs", "pause", "collect", "--config", path) == EXIT_OK
    assert "sesame" not in "".join(capsys.readouterr())
