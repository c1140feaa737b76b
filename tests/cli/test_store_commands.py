"""Import, export and migrate, on a real store."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import polars as pl
import pytest

from tests.cli.bar_files import LAST, write_bars
from tests.cli.scripted_daemon import call
from tests.fakes.web import setup
from vcpd.cli.command import EXIT_BAD_CONFIGURATION, EXIT_BAD_INPUT, EXIT_OK, EXIT_TEMPORARY_FAILURE
from vcpd.cli.export import watchlist
from vcpd.cli.store import covered_spans
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityRule
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore
from vcpd.domain.setups import BaseState, EncodedSetup
from vcpd.ports import Coverage, SessionSpan
from vcpd.store import bar_files
from vcpd.store.bars import PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.screen_results import PostgresRiskStore, PostgresSetupStore
from vcpd.store.settings import StoreSettings

Capture = pytest.CaptureFixture[str]


async def _imported(capsys: Capture, *words: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert await call("import", *words, "--json") == EXIT_OK
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


async def test_what_is_imported_comes_out_again_and_importing_twice_changes_nothing(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    bars, out = write_bars(tmp_path / "bars.parquet", 3), tmp_path / "out.parquet"
    (first,) = await _imported(capsys, bars, "--config", store)
    assert (first["symbols"], first["new_symbols"], first["unlisted_symbols"]) == (3, 3, 3)
    assert (first["inserted"], first["quarantined"]) == (990, 0)
    (second,) = await _imported(capsys, bars, "--config", store)
    assert (second["new_symbols"], second["inserted"], second["updated"], second["unchanged"]) == (
        0,
        0,
        0,
        990,
    )
    assert await call("export", "bars", "-o", out, "--config", store) == EXIT_OK
    before, after = (bar_files.read_bars(path).series for path in (bars, out))
    assert [series.symbol for series in after] == [f"NSE:{series.symbol}" for series in before]
    assert all((series.records == other.records).all() for series, other in zip(before, after, strict=True))


async def test_a_file_that_cannot_be_used_does_not_hide_what_was_imported_before(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("nothing\n")
    good = write_bars(tmp_path / "good.parquet", 1)
    assert await call("import", good, empty, "--config", store) == EXIT_BAD_INPUT
    said = capsys.readouterr()
    assert "330 bars inserted" in said.out
    assert "empty.csv" in said.err


async def test_bad_rows_are_kept_apart_with_their_place_and_reported(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bars.csv"
    frame = pl.read_parquet(write_bars(tmp_path / "good.parquet", 1))
    sunday = pl.lit(date(2025, 6, 29))
    at = pl.int_range(pl.len())
    frame = frame.with_columns(
        low=pl.when(at == 3).then(-1.0).otherwise(pl.col("low")),
        date=pl.when(at == 329).then(sunday).otherwise(pl.col("date")),
    )
    frame.write_csv(path)
    assert await call("import", path, "--config", store) == EXIT_OK
    said = capsys.readouterr()
    assert "328 bars inserted" in said.out
    assert "2 rows quarantined" in said.out
    assert "row 5" in said.err
    assert "2025-06-29" in said.err


async def test_a_file_that_cannot_be_read_stops_before_anything_of_it_is_stored(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(
        "symbol,date,open,high,low,close,volume\nAAA,2025-06-27,1,1,1,1,1\nAAA,soon,1,1,1,1,1\nAAA,later,1,1,1,1,1\n"
    )
    assert await call("import", path, "--config", store) == EXIT_BAD_INPUT
    assert "soon" in capsys.readouterr().err
    assert await call("export", "bars", "-o", tmp_path / "out.csv", "--config", store) == EXIT_BAD_INPUT
    assert "nothing in the store matches" in capsys.readouterr().err


async def test_exported_bars_keep_to_dates_and_symbols(store: Path, tmp_path: Path, capsys: Capture) -> None:
    await _imported(capsys, write_bars(tmp_path / "bars.parquet", 3), "--config", store)
    out = tmp_path / "out.csv"
    words = ("--from", "2025-06-01", "--to", "2025-06-10", "--symbols", "aaa, NSE:AAC")
    assert await call("export", "bars", "--format", "csv", "-o", out, *words, "--config", store) == EXIT_OK
    found = pl.read_csv(out, try_parse_dates=True)
    assert found["symbol"].unique().sort().to_list() == ["NSE:AAA", "NSE:AAC"]
    assert date(2025, 6, 2) == found["date"].min()
    assert date(2025, 6, 10) == found["date"].max()


@pytest.mark.parametrize(
    "words",
    [
        ("bars", "--format", "tradingview", "-o", "x.txt"),
        ("bars", "-o", "x.txt"),
        ("risk", "--format", "csv", "-o", "x.parquet"),
        ("bars", "-o", "x.csv", "--from", "2025-02-01", "--to", "2025-01-01"),
    ],
)
async def test_what_does_not_fit_is_refused_before_the_store_is_opened(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    assert await call("export", *words, "--config", tmp_path / "none.toml") == EXIT_BAD_INPUT


async def _fill_verdicts() -> None:
    """Two sessions of verdicts and scores."""
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    try:
        listed = [
            setup("NSE:M&M", state=BaseState.BREAKOUT),
            setup("NSE:BAJAJ-AUTO", state=BaseState.NEAR_PIVOT),
        ]
        none = setup("NSE:ZZZ", passed=False)
        names = ("NSE:M&M", "NSE:BAJAJ-AUTO", "NSE:ZZZ")
        await PostgresInstrumentStore(database).add([Instrument(name, -1) for name in names], LAST)
        for session in (date(2025, 6, 27), LAST):
            await PostgresSetupStore(database).put(
                session, [EncodedSetup.of(entry) for entry in (*listed, none)], []
            )
            score = RiskScore(
                symbol="NSE:M&M",
                as_of=session,
                score=12.0,
                band=RiskBand.LOW,
                components={"gap": 1.0},
                metrics={},
            )
            await PostgresRiskStore(database).put(session, [EncodedRiskScore.of(score)])
    finally:
        await database.close()


async def test_setups_and_risk_come_out_for_the_last_session_or_for_a_span(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    await _fill_verdicts()
    for what, name, each in (("setups", "s.parquet", 2), ("risk", "r.csv", 1)):
        out = tmp_path / name
        assert await call("export", what, "-o", out, "--config", store) == EXIT_OK
        reader = pl.read_parquet if out.suffix == ".parquet" else pl.read_csv
        assert reader(out).height == each
        assert await call("export", what, "-o", out, "--from", "2025-06-01", "--config", store) == EXIT_OK
        assert reader(out).height == 2 * each
    assert "NSE:M&M" in pl.read_parquet(tmp_path / "s.parquet")["symbol"].to_list()
    capsys.readouterr()


async def test_setups_come_out_as_a_watchlist(store: Path, tmp_path: Path) -> None:
    await _fill_verdicts()
    out = tmp_path / "watch.txt"
    words = ("setups", "--format", "tradingview", "-o", out, "--config", store)
    assert await call("export", *words) == EXIT_OK
    assert out.read_text(encoding="utf-8") == "###NEAR_PIVOT,NSE:BAJAJ_AUTO,###BREAKOUT,NSE:M_M\n"


def test_a_watchlist_names_each_symbol_of_a_state_once() -> None:
    twice = [
        setup("NSE:AAA", state=BaseState.FORMING),
        setup("NSE:AAA", state=BaseState.FORMING),
        setup("NSE:BBB"),
    ]
    assert watchlist(twice) == "###FORMING,NSE:AAA,NSE:BBB\n"


@pytest.mark.parametrize(
    ("asked", "vouched"),
    [
        (None, True),
        (SessionSpan(date(2025, 6, 20), date(2025, 6, 25)), True),  # overlaps
        (SessionSpan(date(2025, 6, 30), date(2025, 7, 2)), True),  # follows without a session between
        (SessionSpan(date(2025, 7, 1), date(2025, 7, 2)), False),  # 30 June lies between
        (SessionSpan(date(2024, 1, 1), date(2024, 6, 1)), False),
    ],
)
def test_a_file_vouches_only_for_a_span_that_leaves_no_hole(asked: SessionSpan | None, vouched: bool) -> None:
    days = NSE.sessions(date(2025, 6, 23), date(2025, 6, 27))
    column = days.astype(float)
    series = BarSeries.from_columns("AAA", days, (column, column, column, column), column)
    kept = {"NSE:AAA": StoredInstrument(4, Instrument("NSE:AAA", 1))}
    spans = covered_spans({"NSE:AAA": series}, kept, {4: Coverage(asked, None, None)}, NSE)
    assert spans == ({4: SessionSpan(date(2025, 6, 23), date(2025, 6, 27))} if vouched else {})


async def test_migrate_brings_an_empty_database_up_to_date(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(os.environ["VCPD_STORE_DSN"])
    await connection.execute("DROP SCHEMA vcpd CASCADE")
    await connection.close()
    assert await call("migrate", "--config", store) == EXIT_OK
    assert await call("migrate", "--config", store) == EXIT_OK
    assert "the store's schema is at version" in capsys.readouterr().out
    monkeypatch.setenv("VCPD_STORE_DSN", "postgresql://me:verysecret@127.0.0.1:9/none")
    assert await call("migrate", "--config", store) == EXIT_TEMPORARY_FAILURE
    assert "verysecret" not in capsys.readouterr().err


async def test_a_database_of_a_newer_program_is_refused(store: Path, capsys: Capture) -> None:
    connection = await asyncpg.connect(os.environ["VCPD_STORE_DSN"])
    await connection.execute("INSERT INTO vcpd.schema_migrations VALUES (9000, 'later', 'x', 9000)")
    await connection.close()
    assert await call("migrate", "--config", store) == EXIT_BAD_CONFIGURATION
    assert "start the newer vcpd" in capsys.readouterr().err


HEADER = "symbol,date,open,high,low,close,volume\n"
DAYS = NSE.sessions(date(2025, 5, 1), date(2025, 6, 30)).tolist()


def _bars_text(symbol: str, days: list[date], factor: float = 1.0) -> str:
    """Bars of one symbol whose prices rise a little each session."""
    rows = []
    for at, day in enumerate(days):
        close = factor * (100 + at + at % 3 / 4)
        prices = (close - factor, close + 2 * factor, close - 3 * factor, close)
        rows.append(f"{symbol},{day},{','.join(f'{price:.2f}' for price in prices)},{1000 + at}")
    return "\n".join(rows) + "\n"


async def test_rows_under_two_spellings_of_a_symbol_are_all_stored(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(HEADER + _bars_text("aaa", DAYS[::2]) + _bars_text("AAA.NS", DAYS[1::2]))
    (done,) = await _imported(capsys, path, "--config", store)
    assert (done["symbols"], done["inserted"]) == (1, len(DAYS))
    assert await call("export", "bars", "-o", tmp_path / "out.csv", "--config", store) == EXIT_OK
    assert pl.read_csv(tmp_path / "out.csv")["symbol"].unique().to_list() == ["NSE:AAA"]


@pytest.mark.parametrize("factor", [10, 0.5, 0.97])
async def test_prices_on_another_scale_are_refused_with_symbol_and_ratio(
    store: Path, tmp_path: Path, capsys: Capture, factor: float
) -> None:
    """Raw over adjusted: an import that would leave half a history on another scale stores nothing."""
    stored, other = tmp_path / "adjusted.csv", tmp_path / "raw.csv"
    stored.write_text(HEADER + _bars_text("AAA", DAYS) + _bars_text("BBB", DAYS))
    other.write_text(HEADER + _bars_text("AAA", DAYS[:12], factor) + _bars_text("BBB", DAYS[:12]))
    await _imported(capsys, stored, "--config", store)
    assert await call("import", other, "--config", store) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert f"NSE:AAA ({factor:.4g} times the stored price on 12 of 12 sessions" in said
    assert "NSE:BBB" not in said
    (again,) = await _imported(capsys, stored, "--config", store)
    assert again["unchanged"] == 2 * len(DAYS)
    (replaced,) = await _imported(capsys, other, "--replace", "--config", store)
    assert (replaced["updated"], replaced["unchanged"]) == (12, 12)


async def test_a_corrected_bar_is_no_other_scale(store: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bars.csv"
    wrong = _bars_text("AAA", DAYS[:5]) + _bars_text("AAA", DAYS[5:6], 100) + _bars_text("AAA", DAYS[6:])
    path.write_text(HEADER + wrong)
    await _imported(capsys, path, "--config", store)
    path.write_text(HEADER + _bars_text("AAA", DAYS[:5]) + _bars_text("AAA", DAYS[5:6]))
    (done,) = await _imported(capsys, path, "--config", store)
    assert (done["updated"], done["unchanged"]) == (1, 5)


async def test_a_dry_run_shows_what_would_be_read_as_what_and_stores_nothing(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "AAA.csv"
    text = HEADER.removeprefix("symbol,").replace("volume", "Vol") + _bars_text("AAA", DAYS).replace(
        "AAA,", ""
    )
    path.write_text(text.replace(",", ";"))
    assert await call("import", "--dry-run", path, "--config", store) == EXIT_OK
    said = capsys.readouterr().out
    assert "text, separator semicolon" in said
    assert "symbol <- the file's name, date <- date" in said
    assert "volume <- Vol" in said
    assert await call("import", "--dry-run", "--json", path, "--config", store) == EXIT_OK
    (reading,) = json.loads(capsys.readouterr().out)
    assert (reading["rows"], reading["first"]) == (len(DAYS), str(DAYS[0]))
    assert await call("export", "bars", "-o", tmp_path / "out.csv", "--config", store) == EXIT_BAD_INPUT


async def test_hourly_bars_are_refused_as_such(store: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "hours.csv"
    rows = [f"AAA,{day} {hour}:15:00+05:30,9,10,8,9.5,5" for day in DAYS for hour in (10, 11, 12)]
    path.write_text(HEADER + "\n".join(rows))
    assert await call("import", path, "--config", store) == EXIT_BAD_INPUT
    assert "intraday bars" in capsys.readouterr().err


async def test_dates_of_two_readings_need_the_order(store: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "day.csv"
    path.write_text(HEADER + "AAA,06/05/2025,9,10,8,9.5,5\n")
    assert await call("import", path, "--config", store) == EXIT_BAD_INPUT
    assert "2025-05-06 (day-first) or 2025-06-05 (month-first)" in capsys.readouterr().err
    (done,) = await _imported(capsys, path, "--date-order", "day-first", "--config", store)
    assert done["inserted"] == 1


async def test_unreadable_rows_are_in_the_quarantine_with_their_cells(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(HEADER + _bars_text("AAA", DAYS) + "AAA,2025-06-26,1,x,1,1,1\nSource: a vendor\n")
    (done,) = await _imported(capsys, path, "--config", store)
    assert done["quarantined"] == 2
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    try:
        kept = await PostgresQuarantineStore(database).recent(5)
    finally:
        await database.close()
    (kept_bar,) = [bar for bar in kept if bar.symbol == "NSE:AAA"]
    assert kept_bar.rule is QualityRule.UNREADABLE_ROW
    assert kept_bar.payload["row"] == len(DAYS) + 2
    assert kept_bar.payload["cells"]["high"] == "x"  # type: ignore[index]


async def test_exported_results_have_one_column_a_value(store: Path, tmp_path: Path) -> None:
    await _fill_verdicts()
    out = tmp_path / "r.csv"
    assert await call("export", "risk", "-o", out, "--config", store) == EXIT_OK
    assert pl.read_csv(out)["components_gap"].to_list() == [1.0]
    assert "{" not in out.read_text(encoding="utf-8")
    assert await call("export", "setups", "-o", out, "--config", store) == EXIT_OK
    assert "{" not in out.read_text(encoding="utf-8")
