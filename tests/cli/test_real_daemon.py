"""The verbs against a real daemon process over a small market: what they ask for is what it does."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.acceptance.conftest import port
from tests.acceptance.daemon import outcomes, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET
from tests.cli.bar_files import write_bars
from tests.cli.scripted_daemon import call
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK, EXIT_TEMPORARY_FAILURE

__all__ = ["port"]

Capture = pytest.CaptureFixture[str]
NIGHT_S = 150.0  # for a busy machine
DONE = {"collect": "done", "screen": "done", "risk": "done"}


async def _json(capsys: Capture, *words: object) -> Any:
    capsys.readouterr()
    assert await call(*words, "--json") == EXIT_OK
    return json.loads(capsys.readouterr().out)


async def test_every_verb_that_asks_gets_its_answer(tmp_path: Path, port: int, capsys: Capture) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    config = ("--config", path)
    async with running(path, port) as daemon:
        await daemon.until(lambda status: DONE.items() <= outcomes(status).items(), NIGHT_S)
        assert (await _json(capsys, "status", *config))["state"] == "ready"
        every = (await _json(capsys, "setups", "--all", *config))["items"]
        based = next(entry for entry in every if entry["pivot"] is not None)

        sizing = await _json(capsys, "size", "--symbol", based["symbol"], "--equity", 10**7, *config)
        assert sizing["entry"] == max(based["buy_zone"][0], based["close"])
        assert sizing["stop"] == based["stop"]
        listed = (await _json(capsys, "setups", *config))["items"]
        crowding = await _json(capsys, "setups", "--crowding", *config)
        members = [member for cluster in crowding["clusters"] for member in cluster["members"]]
        assert sorted(members) == sorted(entry["symbol"] for entry in listed)

        assert await call("jobs", "run", "screen", "--session", based["as_of"], *config) == EXIT_OK
        assert f"screen for {based['as_of']}: done" in capsys.readouterr().out
        assert await call("collect", "--session", "2026-01-26", *config) == EXIT_BAD_INPUT
        assert "Republic Day" in capsys.readouterr().err
        assert await call("jobs", "pause", "risk", *config) == EXIT_OK

        assert await call("history", "--csv", *config) == EXIT_OK, "from the daemon's own bars"
        assert (await _json(capsys, "history", *config))["judged_sessions"] > 0
        drawing = tmp_path / "a.svg"
        assert await call("chart", based["symbol"], "-o", drawing, *config) == EXIT_OK
        assert based["symbol"].removeprefix("NSE:") in drawing.read_text(encoding="utf-8")
        (imported,) = await _json(capsys, "import", write_bars(tmp_path / "mine.parquet", 2), *config)
        assert imported["inserted"] == 660
        exported = tmp_path / "bars.parquet"
        assert await call("export", "bars", "-o", exported, "--symbols", "AAA", *config) == EXIT_OK
        assert pl.read_parquet(exported).height == 330
        capsys.readouterr()
        assert await call("export", "bars", "--symbols", "AAA", *config) == EXIT_OK
        assert capsys.readouterr().out.count("\n") == 331, "without a file on standard output"
        assert await call("collect", *config) == EXIT_OK, "what was imported does not disturb a collection"
        assert await daemon.stop() == 0
    assert await call("status", *config) == EXIT_TEMPORARY_FAILURE
    async with running(path, port) as daemon:
        await daemon.until(lambda status: bool(status["scheduling"]), NIGHT_S)
        paused = {job["name"]: job["paused"] for job in await _json(capsys, "jobs", *config)}
    assert paused == {name: name == "risk" for name in paused}, "a pause outlasts a restart"
