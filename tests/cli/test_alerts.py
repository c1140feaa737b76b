"""`vcpd alerts` and `vcpd alerts test`, against the daemon's port and a receiver of our own."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.alerts.receiver import receiving
from tests.cli.scripted_daemon import ScriptedDaemon, call, serving, sources, status
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK

Capture = pytest.CaptureFixture[str]


def _configuration(folder: Path, text: str, **secrets: str) -> str:
    place = folder / "state" / "secrets"
    place.mkdir(parents=True)
    for name, value in secrets.items():
        (place / name).write_text(value)
        (place / name).chmod(0o600)
    path = folder / "config.toml"
    path.write_text(f'[daemon]\nstate_dir = "state"\n{text}')
    return str(path)


async def test_the_list_shows_what_became_of_each_alert(tmp_path: Path, capsys: Capture) -> None:
    async with serving(tmp_path, sources()) as path:
        assert await call("alerts", "--config", path) == EXIT_OK
        said = capsys.readouterr().out
        assert await call("alerts", "--json", "--config", path) == EXIT_OK
        (item,) = json.loads(capsys.readouterr().out)
    assert "Mon 2025-06-30 17:30" in said
    assert "ntfy sent; webhook given up: it answers 410" in said
    assert item["alert"]["facts"]["pivot"] == 100.0


async def test_a_test_goes_through_every_channel_at_once(tmp_path: Path, capsys: Capture) -> None:
    async with receiving() as receiver:
        text = f'[alerts.webhook]\nurl = "{receiver.url}/hook"\n'
        text += f'[alerts.ntfy]\ntopic = "x"\nserver = "{receiver.url}"\n'
        path = _configuration(tmp_path, text, alerts_ping_url=f"{receiver.url}/ping")
        assert await call("alerts", "test", "--config", path) == EXIT_OK
    said = capsys.readouterr().out
    assert sorted(arrival.path for arrival in receiver.arrived) == ["/", "/hook", "/ping"]
    assert [line.split()[:3] for line in said.splitlines()] == [
        ["good", "ntfy", "sent"],
        ["good", "ping", "sent"],
        ["good", "webhook", "sent"],
    ]


async def test_one_channel_that_fails_is_named_and_makes_exit_code_1(tmp_path: Path, capsys: Capture) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=401)]
        text = f'[alerts.telegram]\nchat_id = "1"\n[alerts.webhook]\nurl = "{receiver.url}/hook"\n'
        path = _configuration(tmp_path, text)
        assert await call("alerts", "test", "--json", "--config", path) == EXIT_FAILED
    telegram, webhook = json.loads(capsys.readouterr().out)
    assert (telegram["good"], telegram["text"]) == (False, "lacks the secret alerts_telegram_token")
    assert (webhook["good"], webhook["text"]) == (False, "it answers 401")


async def test_one_channel_can_be_tried_alone(tmp_path: Path) -> None:
    async with receiving() as receiver:
        text = f'[alerts.webhook]\nurl = "{receiver.url}/hook"\n'
        path = _configuration(tmp_path, text, alerts_ping_url=f"{receiver.url}/ping")
        assert await call("alerts", "test", "--channel", "ping", "--config", path) == EXIT_OK
    assert [arrival.path for arrival in receiver.arrived] == ["/ping"]


async def test_without_a_channel_the_verb_says_how_to_get_one(tmp_path: Path, capsys: Capture) -> None:
    path = _configuration(tmp_path, "")
    assert await call("alerts", "test", "--config", path) == EXIT_BAD_INPUT
    assert "docs/alerts.md" in capsys.readouterr().err
    assert await call("alerts", "test", "--channel", "fax", "--config", path) == EXIT_BAD_INPUT
    assert "fax: no such channel" in capsys.readouterr().err


async def test_status_has_a_line_about_alerts(tmp_path: Path, capsys: Capture) -> None:
    daemon = ScriptedDaemon()
    said = {"channels": ["mail"], "missing": ["telegram lacks the secret x"], "pending": 2, "given_up": 1}
    daemon.said = status(alerts=said)
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("status", "--config", path) == EXIT_OK
    line = next(
        splitline for splitline in capsys.readouterr().out.splitlines() if splitline.startswith("alerts")
    )
    assert line == (
        "alerts   mail; telegram lacks the secret x; 2 pending; 1 given up in the last day: see `vcpd alerts`"
    )
