"""`vcpd record outcomes` against a scripted daemon."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.record import HELD, STOPPED, FakeRecordOutcomes
from vcpd.cli.command import EXIT_OK

Capture = pytest.CaptureFixture[str]


async def _shown(tmp_path: Path, capsys: Capture, record: FakeRecordOutcomes, *words: object) -> str:
    async with serving(tmp_path, replace(sources(), record=record)) as path:
        assert await call("record", "outcomes", "--config", path, *words) == EXIT_OK
    return capsys.readouterr().out


async def test_outcomes_and_estimates_are_shown(tmp_path: Path, capsys: Capture) -> None:
    lost = msgspec.structs.replace(
        HELD,
        symbol="NSE:CCC",
        entry=None,
        stop=None,
        held_sessions=None,
        result_r=None,
        best_r=None,
        reason="why",
    )
    shown = await _shown(tmp_path, capsys, FakeRecordOutcomes([STOPPED, HELD, lost]))
    assert "the 3 newest of 3 reported setups, bars until 2025-06-30" in shown
    lines = {name: line for line in shown.splitlines() for name in ("AAA", "BBB", "CCC") if name in line}
    assert lines["AAA"].split()[-3:] == ["-1.03", "0.40", "stopped"]
    assert lines["BBB"].rstrip().endswith("still held")
    assert lines["CCC"].rstrip().endswith("why")
    assert "1 are finished: held to the stop or for 60 sessions, after costs of 0.3 %" in shown
    assert "1 have no result" in shown
    month = next(line for line in shown.splitlines() if line.strip().startswith("2025-03 "))
    assert "fewer than 12 months" in month


async def test_programs_get_everything(tmp_path: Path, capsys: Capture) -> None:
    found = json.loads(await _shown(tmp_path, capsys, FakeRecordOutcomes(), "--json", "--limit", 1))
    assert (len(found["items"]), found["bases"]) == (1, 2)
    table = await _shown(tmp_path, capsys, FakeRecordOutcomes(), "--csv")
    assert table.splitlines()[1].startswith("NSE:BBB,2025-06-30")


async def test_an_empty_record_is_said(tmp_path: Path, capsys: Capture) -> None:
    assert "nothing is in the record yet" in await _shown(tmp_path, capsys, FakeRecordOutcomes([]))
