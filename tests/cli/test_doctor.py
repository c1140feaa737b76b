"""The doctor: what is well is called good, each trouble is named with its remedy."""

import asyncio
import json
import os
import shutil
import socket
import tempfile
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.cli.scripted_daemon import application_served, call, serving, sources
from vcpd.cli import doctor_checks
from vcpd.cli.command import EXIT_FAILED, EXIT_OK
from vcpd.cli.doctor_checks import (
    DoctorContext,
    check_calendar,
    check_clock,
    check_database,
    check_disk,
    check_machine,
    check_market,
    check_port,
    find_engine,
)
from vcpd.config import load_configuration

Capture = pytest.CaptureFixture[str]
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - stands in for shutil's own
NOBODY = 65534
NOW = datetime(2026, 6, 30, 6, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_any_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the table's end nor the age of this checkout decides a test."""
    monkeypatch.setenv("VCPD_SCHEDULE__CALENDAR_VALID_UNTIL", "2999-12-31")
    monkeypatch.setattr(doctor_checks, "_installation_time", lambda: NOW.timestamp() - 1)


def _write(folder: Path, text: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(f'[daemon]\nstate_dir = "state"\n{text}', encoding="utf-8")
    return path


def _doctor_context(folder: Path, text: str = "", now: datetime = NOW) -> DoctorContext:
    return DoctorContext(load_configuration(_write(folder, text), {}), now)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


async def _findings(capsys: Capture, path: Path) -> tuple[int, dict[str, Any]]:
    code = await call("doctor", "--json", "--config", path)
    return code, {load["name"]: load for load in json.loads(capsys.readouterr().out)}


async def test_a_fresh_machine_is_well_and_what_is_still_to_come_is_a_note(
    tmp_path: Path, capsys: Capture
) -> None:
    code, found = await _findings(capsys, _write(tmp_path, f"[web]\nport = {_free_port()}\n"))
    assert code == EXIT_OK
    assert found["database"]["good"] is None
    assert "free; no daemon runs" in found["port"]["text"]
    assert not (tmp_path / "state").exists(), "a look changes nothing"


async def test_an_unusable_configuration_is_the_first_problem(tmp_path: Path, capsys: Capture) -> None:
    code, found = await _findings(capsys, _write(tmp_path, "[web]\npork = 1\n"))
    assert code == EXIT_FAILED
    assert "web.pork" in found["configuration"]["text"]
    assert found["configuration"]["remedy"]


async def test_the_store_is_really_asked(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCPD_WEB__PORT", str(_free_port()))
    code, found = await _findings(capsys, store)
    assert code == EXIT_OK
    assert "PostgreSQL" in found["database"]["text"]
    monkeypatch.setenv("VCPD_STORE_DSN", "postgresql://me:verysecret@127.0.0.1:9/none")
    code, found = await _findings(capsys, store)
    assert code == EXIT_FAILED
    assert found["database"]["good"] is False
    assert "verysecret" not in json.dumps(found)


async def test_the_embedded_store_is_started_for_the_look_and_ended_after_it(
    tmp_path: Path, capsys: Capture
) -> None:
    path = _write(tmp_path, f"[web]\nport = {_free_port()}\n[store]\nshared_buffers_mb = 16\n")
    assert await call("migrate", "--config", path) == EXIT_OK
    capsys.readouterr()
    code, found = await _findings(capsys, path)
    assert code == EXIT_OK
    assert "embedded, PostgreSQL" in found["database"]["text"]
    assert "started for this check" in found["database"]["text"]
    assert not (tmp_path / "state" / "postgres" / "data" / "postmaster.pid").exists()


async def test_a_running_daemon_is_distinguished_from_a_stranger_on_its_port(tmp_path: Path) -> None:
    async with serving(tmp_path, sources()) as path:
        finding = await _checked_port(path)
    assert finding.good
    assert "the daemon answers" in finding.text
    async with application_served(tmp_path, web.Application()) as path:
        finding = await _checked_port(path)
    assert finding.good is False
    assert finding.remedy


async def _checked_port(path: Path) -> Any:
    return await asyncio.to_thread(check_port, DoctorContext(load_configuration(path, {}), NOW))


@pytest.mark.parametrize("name", ["secrets/kite_api_secret", "kite-token.json"])
def test_secrets_that_others_may_read_are_found(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "state" / name
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.write_text("hush", encoding="utf-8")
    secret.chmod(0o640)
    bad = [finding for finding in check_machine(_doctor_context(tmp_path)) if finding.good is False]
    assert f"chmod 600 {secret}" in [finding.remedy for finding in bad]
    assert "hush" not in str(bad)
    secret.chmod(0o600)
    (tmp_path / "state").chmod(0o700)
    assert [finding for finding in check_machine(_doctor_context(tmp_path)) if finding.good is False] == []


def test_a_state_directory_that_others_may_enter_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)  # whatever umask an earlier command has left
    (bad,) = [finding for finding in check_machine(_doctor_context(tmp_path)) if finding.good is False]
    assert bad.remedy == f"chmod 700 {tmp_path / 'state'}"


def test_missing_credentials_of_a_real_market_are_named(tmp_path: Path) -> None:
    text = '[daemon]\nmarket = "kite"\n'
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    (bad,) = [
        finding
        for finding in check_machine(DoctorContext(load_configuration(path, {}), NOW))
        if finding.good is False
    ]
    assert "[kite] api_key and kite_api_secret" in bad.text


@pytest.mark.parametrize(
    ("now", "good"),
    [(datetime(2026, 6, 1, tzinfo=UTC), True), (datetime(2026, 12, 1, tzinfo=UTC), None),
     (datetime(2027, 1, 5, tzinfo=UTC), None)],
)  # fmt: skip
def test_the_calendars_end_is_a_note_before_and_after(
    tmp_path: Path,
    now: datetime,
    good: bool | None,
) -> None:
    finding = check_calendar(_doctor_context(tmp_path, now=now))
    assert finding.good is good
    assert bool(finding.remedy) is (good is not True)


def test_a_clock_before_the_programs_own_files_is_wrong(tmp_path: Path) -> None:
    assert check_clock(_doctor_context(tmp_path, now=datetime(2001, 1, 1, tzinfo=UTC))).good is False


def test_too_little_space_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = _doctor_context(tmp_path)
    assert check_disk(context).good
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 10**12 - 10**8, 10**8))
    assert check_disk(context).good is False


async def test_a_market_that_cannot_be_reached_and_a_login_that_is_due_are_problems(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "config.toml"
    root = f"http://127.0.0.1:{_free_port()}"
    path.write_text(
        f'[daemon]\nmarket = "kite"\n[web]\nport = {_free_port()}\n'
        f'[kite]\napi_key = "k"\napi_root = "{root}"\n',
        encoding="utf-8",
    )
    code, found = await _findings(capsys, path)
    assert code == EXIT_FAILED
    assert f"{root} cannot be reached" in found["market"]["text"]
    assert "vcpd login" in found["login"]["remedy"]


async def test_a_market_whose_time_is_another_shows_a_wrong_clock(tmp_path: Path, capsys: Capture) -> None:
    async def root(_: web.Request) -> web.Response:
        return web.json_response({}, headers={"Date": "Mon, 01 Jan 2024 00:00:00 GMT"})

    application = web.Application()
    application.add_routes([web.get("/", root)])
    async with application_served(tmp_path, application) as served:
        port = load_configuration(served, {}).configuration.web.port
        text = (
            f'market = "kite"\n[web]\nport = {_free_port()}\n[kite]\napi_root = "http://127.0.0.1:{port}"\n'
        )
        assert await call("doctor", "--config", _write(tmp_path, text)) == EXIT_FAILED
    said = capsys.readouterr().out
    assert "s ahead of the market's" in said
    assert "-> set the clock" in said


async def test_an_open_secret_is_a_finding_and_not_the_end(tmp_path: Path, capsys: Capture) -> None:
    """The very trouble that the doctor is asked about must not keep it from telling of all others."""
    secret = tmp_path / "state" / "secrets" / "kite_api_secret"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.write_text("verysecret", encoding="utf-8")
    secret.chmod(0o644)
    text = f'market = "kite"\n[kite]\napi_root = "http://127.0.0.1:9"\n[web]\nport = {_free_port()}\n'
    code, found = await _findings(capsys, _write(tmp_path, text))
    assert code == EXIT_FAILED
    assert "others may read" in found["login"]["text"]
    assert found["secret files"]["good"] is False
    assert found["database"]["good"] is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try out another user")
async def test_who_may_not_look_is_advised_to_be_another_user() -> None:
    """On an installed machine the state belongs to the daemon's own user."""
    with tempfile.TemporaryDirectory() as folder:  # mode 0700: nobody else may enter
        context = _doctor_context(Path(folder))
        context.state_dir.mkdir()
        os.seteuid(NOBODY)
        try:
            found = {finding.name: finding for finding in check_machine(context)}
            database = await check_database(context)
        finally:
            os.seteuid(0)
    assert [found["state"].good, database.good] == [False, False]
    assert "run as root" in found["state"].remedy
    assert "run as root" in database.remedy


@pytest.mark.parametrize(
    ("said", "good"), [("yesterday", None), ("Mon, 01 Jan 2001 00:00:00 -0000", False), (None, True)]
)
async def test_a_market_whose_date_is_odd_is_still_looked_at(
    tmp_path: Path, said: str | None, *, good: bool | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={} if said is None else {"Date": said})

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.port}"
        context = _doctor_context(
            tmp_path, f'market = "bhavcopy"\n[bhavcopy]\narchive_root = "{url}"\nactions_url = ""\n'
        )
        found = {finding.name: finding for finding in await check_market(context)}
    assert found["market"].good
    assert found["clock"].good is good


@pytest.mark.parametrize(
    ("report_status", "site_status", "good", "text"),
    [
        (200, 403, True, "answers; the site's list: refused with 403; the daily reports are used"),
        (404, 200, True, "refused with 404; the site's list: answers; the site's list is used"),
        (503, 403, False, "refused with 503; the site's list: refused with 403"),
    ],
)
async def test_the_source_of_corporate_actions_that_answers_is_named(
    tmp_path: Path, report_status: int, site_status: int, text: str, *, good: bool
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if "/pr/PR" in request.path:
            return web.Response(status=report_status)
        return web.Response(status=site_status if request.path == "/api" else 200)

    application = web.Application()
    application.router.add_get("/{tail:.*}", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.port}"
        section = f'[bhavcopy]\narchive_root = "{url}"\nactions_url = "{url}/api"\n'
        context = _doctor_context(tmp_path, f'market = "bhavcopy"\n{section}')
        found = {finding.name: finding for finding in await check_market(context)}
    assert found["corporate actions"].good is good
    assert found["corporate actions"].text.endswith(text)


def test_a_cluster_that_cannot_be_used_is_a_problem_where_it_is_the_engine_and_a_note_else(
    tmp_path: Path,
) -> None:
    section = f'[dask]\nconnect_timeout_s = 0.5\nscheduler = "tcp://127.0.0.1:{_free_port()}"\n'
    note = find_engine(_doctor_context(tmp_path, section))
    assert note.good is None
    problem = find_engine(_doctor_context(tmp_path, f'[workers]\nengine = "dask"\n{section}'))
    assert problem.good is False
    assert "cannot be reached" in problem.text
    assert "docs/scale-out.md" in problem.remedy


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    files = "".join(f'tls_{kind}_file = "{tmp_path}/{kind}.pem"\n' for kind in ("ca", "cert", "key"))
    section = f'[workers]\nengine = "dask"\n[dask]\nscheduler = "tls://127.0.0.1:1"\n{files}'
    problem = find_engine(_doctor_context(tmp_path, section))
    assert problem.good is False
    assert f"{tmp_path}/ca.pem" in problem.text


def test_local_workers_are_named_with_their_versions(tmp_path: Path) -> None:
    finding = find_engine(_doctor_context(tmp_path, "[workers]\ncount = 3\n"))
    assert (finding.good, finding.text.split(",")[:2]) == (True, ["local", " 3 workers"])
