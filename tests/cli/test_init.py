"""`vcpd init`: five answers make a short configuration, which is checked."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vcpd.cli import init
from vcpd.cli.main import main
from vcpd.config import Configuration, load_configuration

Answer = Callable[..., Path]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Runs `vcpd init` with these answers, the doctor's checks left out; gives the file."""
    monkeypatch.setattr(init, "doctor", lambda _: 0)

    def run(*answers: str) -> Path:
        given = iter(answers)

        def read(_: str) -> str:
            try:
                return next(given)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        path = tmp_path / "new" / "config.toml"
        assert main(["init", "--config", str(path)]) == 0
        return path

    return run


def _settings(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"[a-z\[]", line)]


def test_empty_answers_change_nothing(answer: Answer) -> None:
    path = answer("", "", "", "", "")
    assert _settings(path) == []
    assert load_configuration(path, {}).configuration == Configuration()


def test_only_what_differs_is_written(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    path = answer("kite abcd1234", "10,00,000 0.5", "telegram 42", "https://a.example/vcpd/", "19:30")
    assert _settings(path) == [
        "[daemon]",
        'market = "kite"',
        "[kite]",
        'api_key = "abcd1234"',
        "[size]",
        "equity = 1000000.0",
        "[alerts.telegram]",
        'chat_id = "42"',
        "[web]",
        'public_url = "https://a.example/vcpd/"',
        "[jobs.screen]",
        'at = "19:30"',
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    text = capsys.readouterr().out
    assert "https://a.example/vcpd/kite/callback" in text
    assert "vcpd password" in text


def test_the_market_keeps_its_own_schedule(answer: Answer, tmp_path: Path) -> None:
    path = answer("bhavcopy", "", "", "", "")
    expected = tmp_path / "plain.toml"
    expected.write_text('[daemon]\nmarket = "bhavcopy"\n', encoding="utf-8")
    assert load_configuration(path, {}).configuration == load_configuration(expected, {}).configuration


@pytest.mark.parametrize(
    ("place", "wrong", "said"),
    [
        (0, "zerodha", "expected one of bhavcopy, kite, sandbox"),
        (0, "kite", "API key"),
        (0, "bhavcopy now", "name alone"),
        (1, "a lot", "two numbers"),
        (1, "1000000 50", "size.risk_pct"),
        (2, "pigeon 1", "a channel and its address"),
        (3, "my box", "public_url"),
        (4, "evening", "jobs.screen"),
    ],
)
def test_an_answer_that_cannot_be_used_is_asked_for_again(
    answer: Answer, capsys: pytest.CaptureFixture[str], place: int, wrong: str, said: str
) -> None:
    answers = [""] * 5
    answers.insert(place, wrong)
    assert _settings(answer(*answers)) == []
    assert said in capsys.readouterr().out


def test_a_file_that_is_there_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text("# mine\n", encoding="utf-8")
    assert main(["init", "--config", str(path)]) == 65
    assert path.read_text(encoding="utf-8") == "# mine\n"
    assert "exists already" in capsys.readouterr().err


def test_without_answers_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    path = tmp_path / "config.toml"
    assert main(["init", "--config", str(path)]) == 65
    assert not path.exists()


def test_the_file_is_checked_as_the_doctor_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert main(["init", "--config", str(tmp_path / "config.toml")]) in {0, 1}
    text = capsys.readouterr().out
    assert re.search(r"(good|note|BAD )  market +simulated", text)
