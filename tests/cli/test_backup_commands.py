"""`vcpd backup` and `vcpd restore`, on a real store."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.bar_files import write_bars
from tests.cli.scripted_daemon import call
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK

Capture = pytest.CaptureFixture[str]


async def test_a_backup_is_written_checked_and_restored(store: Path, tmp_path: Path, capsys: Capture) -> None:
    """What was imported after the backup is gone, and the panel made of it too."""
    file, panel = tmp_path / "vcpd.zip", store.parent / "state" / "panel"
    await call("import", write_bars(tmp_path / "bars.parquet", 2), "--config", store)
    assert await call("backup", file, "--config", store) == EXIT_OK
    await call("import", write_bars(tmp_path / "more.parquet", 3), "--config", store)
    panel.mkdir(parents=True)
    capsys.readouterr()
    assert await call("backup", "--check", file, "--config", store) == EXIT_OK
    assert "is whole; 660 bars" in capsys.readouterr().out
    assert await call("restore", file, "--config", store) == EXIT_BAD_INPUT
    assert "--replace" in capsys.readouterr().err
    assert await call("restore", "--replace", file, "--config", store, "--json") == EXIT_OK
    assert {table["name"]: table["rows"] for table in json.loads(capsys.readouterr().out)["tables"]}[
        "bars"
    ] == 660
    assert not panel.exists()
    out = tmp_path / "out.csv"
    assert await call("export", "bars", "-o", out, "--config", store) == EXIT_OK
    assert len(out.read_text(encoding="utf-8").splitlines()) == 661


async def test_what_is_no_backup_is_refused_by_name(store: Path, tmp_path: Path, capsys: Capture) -> None:
    bars = write_bars(tmp_path / "bars.parquet", 2)
    for command in (("backup", "--check"), ("restore",)):
        for file in (bars, tmp_path / "none.zip"):
            assert await call(*command, file, "--config", store) == EXIT_BAD_INPUT
            assert str(file) in capsys.readouterr().err


async def test_the_configuration_is_in_it_without_passwords(store: Path, tmp_path: Path) -> None:
    text = _prepend(store, '# dsn = "postgresql://vcpd:geheim/1@host/db"\n')
    assert await call("backup", tmp_path / "vcpd.zip", "--config", store) == EXIT_OK
    with zipfile.ZipFile(tmp_path / "vcpd.zip") as archive:
        kept = archive.read("configuration/config.toml").decode()
    assert "geheim" not in kept
    assert kept.endswith(text)
    assert (tmp_path / "vcpd.zip").stat().st_mode & 0o077 == 0


def _prepend(path: Path, line: str) -> str:
    """Put a line before the text of a file; give the old text."""
    text = path.read_text(encoding="utf-8")
    path.write_text(line + text, encoding="utf-8")
    return text
