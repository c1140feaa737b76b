"""How screen, risk, the panel and memory grow with symbols and with years: `python -m benchmarks.growth`.

Random walks, each size in a process of its own, every figure CPU time of one process (best of `--rounds`).
Symbols grow at five years, years at 2,500 symbols. `panel` builds the snapshot from a copy of all bars;
`refresh` makes it of the one before and of one more session. Both lack the database, which sends the bars.
`--plot FILE` draws the table as SVG.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from vcpd.analysis.risk.parameters import RiskTaskParams
from vcpd.analysis.tasks import ScreenParams, measure_risk, score_risk, screen_rows, warm_up
from vcpd.domain.bars import BAR_DTYPE, BarSeries, BarTable
from vcpd.domain.panel import FIELDS, Panel, PanelReference
from vcpd.runtime.settings import WorkerSettings
from vcpd.store.binary_format import encode_copy
from vcpd.store.panel_build import PanelBuildSpec, build_panel_files
from vcpd.store.panel_files import BarChange, PanelRow, open_panel
from vcpd.store.panel_patch import PanelPatchSpec, patch_panel_files

SESSIONS_A_YEAR: Final = 250
BY_SYMBOLS: Final = tuple((symbols, 5) for symbols in (500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000))
BY_YEARS: Final = tuple((2_500, years) for years in (1, 2, 5, 10, 20))
DISTINCT: Final = 250
MEGABYTE: Final = 1 << 20
BYTES_A_BAR_NEEDED: Final = 200  # the copy on disk, the snapshot, and the page cache of both
FIGURES: Final = ("screen_s", "risk_s", "panel_s", "refresh_s")
NAMES: Final = ("screen", "risk", "panel", "refresh")
CHUNK_ROWS: Final = WorkerSettings().chunk_rows
WIDTH, HEIGHT, MARGIN = 420, 300, 50
COLOURS: Final = {"screen_s": "#0072b2", "risk_s": "#d55e00", "panel_s": "#009e73", "refresh_s": "#cc79a7"}


def histories(symbols: int, sessions: int) -> Iterator[tuple[int, BarSeries]]:
    """By instrument id; a few hundred distinct histories, repeated."""
    from tests.analysis.markets import series_of, walk  # noqa: PLC0415 - the parent needs none

    distinct = [series_of("", walk(seed, sessions, drift=0.0003), seed=seed) for seed in range(DISTINCT)]
    for number in range(symbols):
        yield number + 1, distinct[number % DISTINCT]


def copied_bars(symbols: int, sessions: int, folder: Path) -> PanelBuildSpec:
    """The bars as the database sends them, in a file, and what is to be made of them."""
    path = folder / "bars.copy"
    first = last = date.min
    with path.open("wb") as file:
        for start in range(0, symbols, DISTINCT):
            part = list(histories(min(DISTINCT, symbols - start), sessions))
            table = BarTable.gather((start + key, series) for key, series in part)
            days = part[0][1].sessions
            first, last = days[0].item(), days[-1].item()
            pieces = list(encode_copy(table.instrument_id, table.records))
            file.writelines(pieces[1 if start else 0 : None if start + DISTINCT >= symbols else -1])
    rows = tuple(PanelRow(number + 1, f"S{number:05}", 0.05) for number in range(symbols))
    return PanelBuildSpec(
        copy_files=(str(path),),
        folder=str(folder / "panel"),
        rows=rows,
        benchmark_id=1,
        first=first,
        last=last,
        n_sessions=sessions,
        exclusions={},
        change=BarChange(1, ""),
    )


def day_after(spec: PanelBuildSpec, base: PanelReference) -> PanelPatchSpec:
    """What makes the next snapshot: one more session of every symbol, as the database sends it."""
    shown = open_panel(base)
    day = shown.sessions[-1] + np.timedelta64(1, "D")
    records = np.zeros(len(spec.rows), BAR_DTYPE)
    records["session"] = day
    for plane, name in zip(shown.values, FIELDS, strict=True):
        records[name] = plane[:, -1]
    ids = np.array([row.id for row in spec.rows])
    changed = dict.fromkeys(ids.tolist(), day.item())
    bars = b"".join(encode_copy(ids, records))
    return PanelPatchSpec(
        folder=spec.folder,
        rows=spec.rows,
        benchmark_id=spec.benchmark_id,
        first=shown.sessions[1].item(),
        last=day.item(),
        n_sessions=spec.n_sessions,
        exclusions={},
        change=spec.change,
        base=base,
        changed=changed,
        bars=bars,
    )


def best_refresh_cpu_s(spec: PanelBuildSpec, base: PanelReference, rounds: int) -> float:
    """The best of some days, each added to the snapshot of the day before."""
    took = []
    for _ in range(rounds):
        patch = day_after(spec, base)
        begun = time.process_time()
        refreshed = patch_panel_files(patch)
        took.append(time.process_time() - begun)
        assert refreshed is not None
        base = refreshed
    return min(took)


def best_cpu_s(work: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)


def screen_all(panel: Panel) -> None:
    n = len(panel.symbols)
    for first in range(0, n, CHUNK_ROWS):
        screen_rows(panel, range(first, min(first + CHUNK_ROWS, n)), ScreenParams())


def score_all(panel: Panel) -> None:
    score_risk([measure_risk(panel, range(len(panel.symbols)), RiskTaskParams())], RiskTaskParams())


def one_size(symbols: int, years: int, rounds: int) -> dict[str, float]:
    """All figures of one size; private memory is that of this process at its end, without mapped files."""
    warm_up()
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        spec = copied_bars(symbols, years * SESSIONS_A_YEAR, Path(name))
        (Path(name) / "panel").mkdir()
        panel_s = best_cpu_s(lambda: build_panel_files(spec), rounds)
        base = build_panel_files(spec)
        panel = open_panel(base)
        refresh_s = best_refresh_cpu_s(spec, base, rounds)
        screen_s = best_cpu_s(lambda: screen_all(panel), rounds)
        risk_s = best_cpu_s(lambda: score_all(panel), rounds)
        stored = sum(file.stat().st_size for file in (Path(name) / "panel").rglob("*") if file.is_file()) / 2
    memory = psutil.Process().memory_info()
    return {
        "symbols": symbols,
        "years": years,
        "screen_s": screen_s,
        "risk_s": risk_s,
        "panel_s": panel_s,
        "refresh_s": refresh_s,
        "bytes_a_bar": stored / (symbols * years * SESSIONS_A_YEAR),
        "private_mb": (memory.rss - memory.shared) / MEGABYTE,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measured(symbols: int, years: int, rounds: int) -> dict[str, float] | None:
    """In a process of its own; None where the machine has too little memory or disk."""
    needed = symbols * years * SESSIONS_A_YEAR * BYTES_A_BAR_NEEDED
    free = min(psutil.virtual_memory().available, psutil.disk_usage(tempfile.gettempdir()).free)
    if needed > free:
        print(f"{symbols:>7,} {years:>5}  does not fit: needs {needed >> 20:,} MB, {free >> 20:,} are free")
        return None
    words = [sys.executable, "-m", "benchmarks.growth", "--one", str(symbols), str(years), str(rounds)]
    found: dict[str, float] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return found


def show(row: Mapping[str, float], base: Mapping[str, float]) -> None:
    """A row with each figure beside what growth in proportion to symbols would give from `base`."""
    scale = row["symbols"] / base["symbols"]
    parts = [f"{row[name]:8.3f} {row[name] / (base[name] * scale):5.2f}" for name in FIGURES]
    print(
        f"{row['symbols']:>7,.0f} {row['years']:>5.0f} {'  '.join(parts)}  {row['bytes_a_bar']:6.1f}"
        f"  {row['private_mb']:7.0f}  {row['peak_mb']:7.0f}",
        flush=True,
    )


def plot(series: Sequence[tuple[str, str, Sequence[Mapping[str, float]]]]) -> str:
    """Both tables side by side as SVG, logarithmic on both axes."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT}" font-size="11">']
    for number, (title, axis, rows) in enumerate(series):
        parts.append(f'<g transform="translate({number * WIDTH},0)"><text x="{MARGIN}" y="16">{title}</text>')
        parts += _curves(axis, rows)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _curves(axis: str, rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    across = np.log10([row[axis] for row in rows])
    up = np.log10([[max(row[name], 1e-4) for name in FIGURES] for row in rows])
    x = MARGIN + (across - across[0]) / max(1e-9, np.ptp(across)) * (WIDTH - 2 * MARGIN)
    y = HEIGHT - MARGIN - (up - up.min()) / max(1e-9, np.ptp(up)) * (HEIGHT - 2 * MARGIN)
    for at, row in zip(x, rows, strict=True):
        yield f'<text x="{at:.0f}" y="{HEIGHT - 30}" text-anchor="middle">{row[axis]:,.0f}</text>'
    for number, name in enumerate(FIGURES):
        points = " ".join(f"{at:.0f},{level:.0f}" for at, level in zip(x, y[:, number], strict=True))
        yield f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>'
        label = f"{name.removesuffix('_s')} {rows[-1][name]:.2f} s"
        yield f'<text x="{x[-1] - 60:.0f}" y="{y[-1, number] - 6:.0f}" fill="{COLOURS[name]}">{label}</text>'


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--one", nargs=3, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-symbols", type=int, default=40_000)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(one_size(*given.one)))
        return
    print(
        "symbols years" + "".join(f"{name:>9} ratio" for name in NAMES) + "  bytes a bar  private MB  peak MB"
    )
    tables = []
    for title, axis, sizes in (
        ("CPU seconds by symbols, five years", "symbols", BY_SYMBOLS),
        ("CPU seconds by years, 2,500 symbols", "years", BY_YEARS),
    ):
        rows: list[dict[str, float]] = []
        for symbols, years in sizes:
            if symbols <= given.most_symbols and (row := measured(symbols, years, given.rounds)):
                rows.append(row)
                show(row, rows[0])
        tables.append((title, axis, rows))
    if given.plot:
        given.plot.write_text(plot(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
