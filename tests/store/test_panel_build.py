"""Copied bars in any order become the panel that their histories give, in little memory."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.market import FIRST_DAY, walk
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.bars import BarSeries, BarTable, IntArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.store.binary_format import encode_copy
from vcpd.store.panel_build import PanelBuildSpec, build_panel_files
from vcpd.store.panel_files import BarChange, PanelRow, open_panel

INDEX: Final = "NSE:NIFTY 50"
INDEX_ID: Final = 4
GROWTH_MB: Final = 48.0  # less than the panel below takes


def copied(folder: Path, bars: BarTable, order: IntArray, n_parts: int = 2) -> tuple[str, ...]:
    """Files as the server would send them: the bars in the given order, cut into parts."""
    names = []
    for number, part in enumerate(np.array_split(order, n_parts)):
        path = folder / f"bars-{number}.copy"
        path.write_bytes(b"".join(encode_copy(bars.instrument_id[part], bars.records[part])))
        names.append(str(path))
    return tuple(names)


def arrangement_of(
    folder: Path, names: tuple[str, ...], rows: Sequence[PanelRow], n: int = 1300
) -> PanelBuildSpec:
    return PanelBuildSpec(
        copy_files=names,
        folder=str(folder / "panel"),
        rows=tuple(rows),
        benchmark_id=INDEX_ID,
        first=FIRST_DAY,
        last=date(2026, 1, 1),
        n_sessions=n,
        exclusions={},
        change=BarChange(1, ""),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[BarSeries]:
    """Three shares with holes anywhere and an index."""
    lasting = draw(st.tuples(*(st.integers(0, 30) for _ in range(4))))
    whole = [
        walk(name, n, seed=n) for name, n in zip(("NSE:C", "NSE:A", "NSE:B", INDEX), lasting, strict=True)
    ]
    for series in whole:
        series.records["provisional"] = draw(
            st.lists(st.booleans(), min_size=len(series), max_size=len(series))
        )
    kept = [draw(st.lists(st.booleans(), min_size=len(series), max_size=len(series))) for series in whole]
    return [
        BarSeries(series.symbol, series.records[np.array(mask, bool)])
        for series, mask in zip(whole, kept, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(series=histories(), shuffle=st.randoms(use_true_random=False), n_sessions=st.integers(1, 40))
def test_bars_in_any_order_give_the_panel_of_their_histories(
    series: list[BarSeries], shuffle: object, n_sessions: int
) -> None:
    """To the last bit, cut to the last sessions; bars of an instrument that is not wanted are left out."""
    *shares, index = series
    stranger = walk("NSE:STRANGER", 40, seed=9)
    bars = BarTable.gather([*enumerate(series, start=1), (7, stranger)])
    order = list(range(len(bars)))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    rows = [PanelRow(number, series.symbol, 0.05) for number, series in enumerate(shares, start=1)]
    with tempfile.TemporaryDirectory() as name:
        names = copied(Path(name), bars, np.array(order, np.int64))
        panel = open_panel(build_panel_files(arrangement_of(Path(name), names, rows, n_sessions)))
        assert_same(panel, cut(build_panel(shares, index), shares, index, n_sessions))


def cut(whole: Panel, shares: list[BarSeries], index: BarSeries, n_sessions: int) -> Panel:
    """The same with its last sessions only, without the shares that have none of them."""
    if len(whole.sessions) <= n_sessions:
        return whole
    first = whole.sessions[-n_sessions]
    return build_panel(
        (BarSeries(share.symbol, share.records[share.sessions >= first]) for share in shares), index
    )


def assert_same(left: Panel, right: Panel) -> None:
    assert left.symbols == right.symbols
    assert left.sessions.tolist() == right.sessions.tolist()
    for name in ("values", "provisional", "index_close", "tick_size"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), strict=True)


def test_a_copy_that_is_not_whole_makes_no_panel(tmp_path: Path) -> None:
    bars = BarTable.gather([(1, walk("NSE:A", 20_000, seed=1, first=date(1960, 1, 1)))])
    names = copied(tmp_path, bars, np.arange(len(bars)), n_parts=1)
    content = Path(names[0]).read_bytes()
    for broken in (content[:-1], content[:-80] + content[-2:], content[:-84] + b"\x00" + content[-83:]):
        Path(names[0]).write_bytes(broken)
        with pytest.raises(RetryableError, match="a copy from the store"):
            build_panel_files(arrangement_of(tmp_path, names, [PanelRow(1, "NSE:A", 0.05)]))
    assert not list(tmp_path.glob("panel/panel-*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "panel").write_text("in the way", encoding="utf-8")
    bars = BarTable.gather([(1, walk("NSE:A", 5, seed=1))])
    names = copied(tmp_path, bars, np.arange(len(bars)))
    with pytest.raises(UnavailableError, match="cannot write the panel"):
        build_panel_files(arrangement_of(tmp_path, names, [PanelRow(1, "NSE:A", 0.05)]))


PEAK_OF_ARRANGING: Final = """
import re, sys
from pathlib import Path
import msgspec
from vcpd.store.panel_build import PanelBuildSpec, build_panel_files
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
arrangement = msgspec.json.decode(sys.stdin.buffer.read(), type=PanelBuildSpec)
before = peak_mb()
build_panel_files(arrangement)
print(peak_mb() - before)
"""


@pytest.mark.parametrize("by_day", [False, True], ids=["share after share", "day after day"])
def test_arranging_takes_little_memory_however_many_bars(tmp_path: Path, by_day: bool) -> None:
    """These bars are 108 MB as copied and 53 MB in the panel; neither is ever resident as a whole."""
    n_symbols, n_sessions = 2_000, 650
    sample = walk("", n_sessions, seed=1)
    bars = BarTable(np.repeat(np.arange(10, 10 + n_symbols), n_sessions), np.tile(sample.records, n_symbols))
    order = np.arange(len(bars))
    names = copied(tmp_path, bars, order.reshape(n_symbols, -1).T.reshape(-1) if by_day else order)
    rows = [PanelRow(10 + number, f"NSE:S{number:05d}", 0.05) for number in range(n_symbols)]
    message = msgspec.json.encode(arrangement_of(tmp_path, names, rows))
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_ARRANGING], input=message, stdout=subprocess.PIPE, check=True
    )
    assert float(done.stdout) < GROWTH_MB
