"""`check-config` refuses what `run` would refuse, and warns of what surprises."""

from pathlib import Path

import pytest

from vcpd.cli.main import main

Capture = pytest.CaptureFixture[str]


def _judged(folder: Path, text: str) -> int:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return main(["check-config", "--config", str(path)])


def test_a_job_that_does_not_exist_is_a_problem(tmp_path: Path, capsys: Capture) -> None:
    assert _judged(tmp_path, '[jobs.dance]\ncron = "0 9 * * *"\n') == 78
    assert "jobs.dance: there is no job 'dance'" in capsys.readouterr().err


def test_jobs_that_wait_for_each_other_are_a_problem(tmp_path: Path, capsys: Capture) -> None:
    assert _judged(tmp_path, '[jobs.collect]\nafter = ["risk"]\n') == 78
    assert "waits for itself" in capsys.readouterr().err


def test_a_day_that_is_both_holiday_and_session_is_a_problem(tmp_path: Path, capsys: Capture) -> None:
    text = '[schedule]\nextra_holidays = ["2026-07-04"]\nextra_sessions = ["2026-07-04"]\n'
    assert _judged(tmp_path, text) == 78
    assert "schedule: 2026-07-04" in capsys.readouterr().err


def test_all_contradictions_are_reported_together(tmp_path: Path, capsys: Capture) -> None:
    text = '[jobs.dance]\ncron = "0 9 * * *"\n[jobs.collect]\nafter = ["risk"]\n'
    assert _judged(tmp_path, text) == 78
    words = capsys.readouterr().err
    assert "dance" in words
    assert "waits for itself" in words


def test_days_of_month_and_week_together_are_warned_of(tmp_path: Path, capsys: Capture) -> None:
    assert _judged(tmp_path, '[jobs.housekeeping]\ncron = "0 19 1 * MON"\n') == 0
    said = capsys.readouterr()
    assert "warning: jobs.housekeeping.cron" in said.err
    assert said.out.endswith("good\n")


def test_a_port_open_to_others_without_a_token_is_refused_as_run_does(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[daemon]\nstate_dir = "state"\n[web]\nhost = "0.0.0.0"\n'
    assert _judged(tmp_path, text) == 78
    assert "provide the secret `web_token` first" in capsys.readouterr().err
    monkeypatch.setenv("VCPD_WEB_TOKEN", "0123456789abcdef")
    assert _judged(tmp_path, text) == 0
    monkeypatch.setenv("VCPD_WEB_TOKEN", "short")
    assert _judged(tmp_path, text) == 78


def test_a_variable_without_meaning_is_warned_of(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCPD_STATE_DIR", "/somewhere")
    assert _judged(tmp_path, "[web]\nport = 18192\n") == 0
    warned = "warning: VCPD_STATE_DIR: no such variable; expected VCPD_DAEMON__STATE_DIR"
    assert warned in capsys.readouterr().err
