"""`vcpd login` against a running exchange: the page opened, the address pasted, the token kept."""

import http.client
import os
import re
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.scripted_daemon import call
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_NEEDS_LOGIN, EXIT_OK
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.runtime.clock import WallClock
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.settings import SandboxSettings

Capture = pytest.CaptureFixture[str]
SETTINGS = SandboxSettings(port=0)


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A configuration whose market is an exchange that runs here."""
    market = HistoricalMarket({"AAA": BarSeries.empty("AAA")}, NSE, {})
    exchange = await start_server(SETTINGS, market, WallClock())
    path = tmp_path / "config.toml"
    path.write_text(
        f'[daemon]\nmarket = "kite"\nstate_dir = "state"\n[kite]\napi_key = "{SETTINGS.api_key}"\n'
        f'api_root = "{exchange.url}"\nlogin_root = "{exchange.url}/connect/login"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("VCPD_KITE_API_SECRET", SETTINGS.api_secret)
    yield path
    await exchange.close()


def _landed_on(url: str) -> str:
    """Where the login page sends the browser."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"{parts.path}?{parts.query}")
    landed = connection.getresponse().getheader("Location") or ""
    connection.close()
    return landed


def _owner(capsys: Capture, paste: Callable[[str], str]) -> Callable[[str], str]:
    """Somebody who opens the printed page and pastes something made of where it led."""

    def answer(_prompt: str) -> str:
        found = re.search(r"http://\S+/connect/login\S*", capsys.readouterr().out)
        assert found is not None
        return paste(_landed_on(found.group()))

    return answer


def _token_alone(landed: str) -> str:
    found = re.search(r"request_token=(\w+)", landed)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("paste", [str, _token_alone])
async def test_the_pasted_address_or_token_becomes_the_days_session(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, paste: Callable[[str], str]
) -> None:
    monkeypatch.setattr("builtins.input", _owner(capsys, paste))
    assert await call("login", "--config", config) == EXIT_OK
    said = capsys.readouterr()
    assert "Logged in as" in said.out
    assert "06:00 IST" in said.out
    token = config.parent / "state" / "kite-token.json"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    assert SETTINGS.api_secret not in said.out + said.err


@pytest.mark.parametrize(
    ("paste", "code", "said"),
    [
        (
            lambda landed: re.sub(r"state=[^&]+", "state=somebodyelses", landed),
            EXIT_FAILED,
            "not started here",
        ),
        (lambda landed: "nothing of use", EXIT_FAILED, "no request token"),
        (lambda landed: "0123456789abcdef", EXIT_NEEDS_LOGIN, ""),
    ],
)
async def test_what_is_not_a_login_of_ours_is_refused_and_leaves_no_token(
    config: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    paste: Callable[[str], str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("builtins.input", _owner(capsys, paste))
    assert await call("login", "--config", config) == code
    assert said in capsys.readouterr().err
    assert not (config.parent / "state" / "kite-token.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_root_hands_the_token_to_the_daemons_user(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = config.parent / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    monkeypatch.setattr("builtins.input", _owner(capsys, str))
    assert await call("login", "--config", config) == EXIT_OK
    token = state / "kite-token.json"
    assert (token.stat().st_uid, stat.S_IMODE(token.stat().st_mode)) == (65534, 0o600)


async def test_an_end_without_an_answer_is_a_sentence(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert await call("login", "--config", config) == EXIT_BAD_INPUT
    assert "no address was pasted" in capsys.readouterr().err


async def test_without_the_secret_nothing_is_sent(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VCPD_KITE_API_SECRET")
    monkeypatch.setattr("builtins.input", _owner(capsys, str))
    assert await call("login", "--config", config) == EXIT_FAILED
    assert "VCPD_KITE_API_SECRET" in capsys.readouterr().err


async def test_the_sandbox_needs_no_login(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    assert await call("login", "--config", path) == EXIT_OK
    assert "nothing to do" in capsys.readouterr().out
