"""`vcpd.open_store` on a real PostgreSQL: what is stored comes out as frames, and nothing is changed."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import asyncpg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import vcpd
from tests.cli.bar_files import LAST, write_bars
from tests.cli.scripted_daemon import call
from tests.fakes.web import setup
from tests.postgres import SETTINGS, fresh_address, temporary_folder
from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.app.storage import attach_storage
from vcpd.cli.command import EXIT_OK
from vcpd.core.errors import (
    BadInputError,
    ConfigurationError,
    IncompatibleStoreError,
    UnavailableError,
)
from vcpd.core.secrets import Secret
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore
from vcpd.domain.runs import Outcome, RunCause
from vcpd.domain.setups import Base, BaseState, EncodedSetup, EventKind, SetupEvent
from vcpd.ports import SessionSpan
from vcpd.runtime.clock import WallClock
from vcpd.store.bar_files import write_bars as write_bars_file
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.runs import PostgresRunStore
from vcpd.store.screen_results import PostgresRiskStore, PostgresSetupStore
from vcpd.store.settings import StoreSettings

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "python-api.md"
BEST, OTHER = "NSE:INFY", "NSE:AAB"
FOUND = date(2025, 6, 2)
GONE_AFTER = 700
STUDY: Final = {
    "exit": {"hold": True},
    "holding_sessions": 40,
    "validation": {"sealed_months": 0, "placebos": 0},
}


@pytest.fixture
async def filled(store: Path, tmp_path: Path) -> Path:
    """A store of three shares and the benchmark with verdicts, scores, one base and one run."""
    frame = pl.read_parquet(write_bars(tmp_path / "made.parquet", 3))
    shares, index = tmp_path / "bars.parquet", tmp_path / "index.parquet"
    frame.with_columns(pl.col("symbol").replace("AAA", "INFY")).write_parquet(shares)
    frame.filter(symbol="AAC").with_columns(symbol=pl.lit("NIFTY 500")).write_parquet(index)
    assert await call("import", shares, "--config", store) == EXIT_OK
    assert await call("import", "--indices", index, "--config", store) == EXIT_OK
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    await _add_results(database)
    await database.close()
    return store


async def _add_results(database: Database) -> None:
    verdicts = [
        setup(OTHER, score=40.0),
        setup(BEST, score=70.0, state=BaseState.NEAR_PIVOT),
    ]
    base = Base(
        symbol=BEST,
        anchor_date=date(2025, 3, 3),
        found_on=FOUND,
        last_judged=LAST,
        pivot=100.0,
        stop=94.0,
        footprint="10W 20/5 3T",
        state=BaseState.NEAR_PIVOT,
        events=(SetupEvent(EventKind.FOUND, FOUND, 100.0),),
    )
    await PostgresSetupStore(database).put(LAST, [EncodedSetup.of(entry) for entry in verdicts], [base])
    score = RiskScore(
        symbol=BEST, as_of=LAST, score=12.0, band=RiskBand.LOW, components={"gap": 1.0}, metrics={}
    )
    await PostgresRiskStore(database).put(LAST, [EncodedRiskScore.of(score)])
    runs = PostgresRunStore(database, WallClock())
    run = await runs.begin("screen", datetime(2025, 6, 30, 13, tzinfo=UTC), LAST, RunCause.TICK)
    assert run is not None
    await runs.finish(run.id, Outcome.DONE, counts={"setups": 2})


async def test_stored_bars_feed_the_functions_of_the_api_as_the_file_does(
    filled: Path, tmp_path: Path
) -> None:
    """Inside a running loop, as in a notebook."""
    named = pl.lit("NSE:") + pl.col("symbol")
    expected = pl.read_parquet(tmp_path / "bars.parquet").with_columns(symbol=named).sort("symbol", "date")
    with vcpd.open_store(filled) as store:
        bars, index, alone = store.bars(), store.index(), store.bars("infy", date(2025, 6, 2))
    assert_frame_equal(bars, expected)
    assert (index["symbol"].unique().to_list(), index.height) == (["NSE:NIFTY 500"], 330)
    assert_frame_equal(alone, expected.filter(pl.col("symbol") == BEST, pl.col("date") >= date(2025, 6, 2)))
    assert vcpd.screen(bars, index=index).equals(vcpd.screen(expected, index=index))
    assert vcpd.risk(bars, index=index).height == 3
    assert vcpd.explain(bars, BEST, index=index).setup.symbol == BEST


async def test_a_study_of_a_store_buys_delisted_shares_until_they_end(store: Path, tmp_path: Path) -> None:
    """Five leaders leave the exchange's list; the first lines count them, and their trades are there."""
    panel, gone = planted_panel(1), [f"L{number:03}" for number in range(5)]
    last = panel.sessions[GONE_AFTER].item()
    rows = [panel.series(name).until(last) if name in gone else panel.series(name) for name in panel.symbols]
    write_bars_file(tmp_path / "bars.parquet", rows)
    assert await call("import", tmp_path / "bars.parquet", "--config", store) == EXIT_OK
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    instruments = PostgresInstrumentStore(database)
    everyone = [entry.instrument for entry in await instruments.all()]
    await instruments.merge(everyone, last)
    listed = [entry for entry in everyone if entry.symbol[-4:] not in gone]
    changes = await instruments.merge(listed, panel.sessions[-1].item())
    assert len(changes.removed) == len(gone)
    await database.close()
    with vcpd.open_store(store) as market:
        bars = market.bars()
    found = vcpd.study(bars, STUDY, thresholds=THRESHOLDS, progress=False)
    own = found.trades.filter(pl.col("symbol").str.slice(-4).is_in(gone))
    assert own["symbol"].n_unique() >= 3
    assert own["sold"].max() <= last
    assert "50 symbols from 2015-01-01 to 2018-06-13; 5 end before the file does" in found.html
    assert "actions= in Python" in found.html
    assert "survivors only" not in found.html


async def test_results_events_and_runs_come_out_as_frames(filled: Path) -> None:
    with vcpd.open_store(str(filled)) as store:
        for session in (None, LAST):
            assert store.setups(session)["symbol"].to_list() == [BEST, OTHER]
            assert store.risk(session).select("symbol", "score", "band", "components_gap").rows() == [
                (BEST, 12.0, "low", 1.0)
            ]
        (event,) = store.events("INFY").to_dicts()
        (run,) = store.runs(job="screen").to_dicts()
        assert store.runs(job="collect").is_empty()
        assert store.events(OTHER).is_empty()
    assert (event["symbol"], event["anchor_date"], event["session"]) == (BEST, date(2025, 3, 3), FOUND)
    assert (event["kind"], event["price"]) == ("found", 100.0)
    assert (run["job"], run["session"], run["outcome"], run["counts_setups"]) == (
        *("screen", LAST, "done", 2),
    )


async def test_what_the_store_does_not_hold_is_named(filled: Path, store: Path) -> None:
    market = vcpd.open_store(filled)
    with pytest.raises(BadInputError, match="NONE: not in the store, which holds 4 symbols"):
        market.bars("NONE")
    with pytest.raises(BadInputError, match="2001-01-01: the store holds no results of the job `risk`"):
        market.risk(date(2001, 1, 1))
    market.close()
    market.close()
    with pytest.raises(BadInputError, match="the store is closed"):
        market.bars()


async def test_a_store_without_results_says_which_job_makes_them(store: Path) -> None:
    with vcpd.open_store(store) as market:
        assert market.bars().is_empty()
        with pytest.raises(UnavailableError, match="`vcpd jobs run screen`"):
            market.setups()


async def test_the_server_refuses_every_change(filled: Path) -> None:
    with vcpd.open_store(filled) as market:
        with pytest.raises(UnavailableError, match="read-only"):
            market._run(market._storage.runs.set_paused("screen", paused=True))
        span = SessionSpan(FOUND, LAST)
        series = market._run(market._storage.bars.series(1))
        with pytest.raises(UnavailableError, match="read-only"):
            market._run(market._storage.bars.replace(1, series, span))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM vcpd.schema_migrations WHERE version > 3", r"at version 3, .*`vcpd migrate`"),
        ("UPDATE vcpd.schema_migrations SET oldest_reader = 9999", r"start the newer vcpd"),
        ("DROP SCHEMA vcpd CASCADE", r"the database holds no store of vcpd"),
    ],
)
async def test_a_store_of_another_schema_is_refused_and_stays_as_it_is(
    store: Path, change: str, problem: str
) -> None:
    connection = await asyncpg.connect(os.environ["VCPD_STORE_DSN"])
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'vcpd'"
    try:
        await connection.execute(change)
        before = await connection.fetchval(tables)
        with pytest.raises((IncompatibleStoreError, UnavailableError), match=problem):
            vcpd.open_store(store)
        assert await connection.fetchval(tables) == before
    finally:
        await connection.close()


async def test_a_state_folder_is_read_beside_its_server_and_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VCPD_STORE_DSN", raising=False)
    with temporary_folder() as state:
        storage = await attach_storage(SETTINGS, None, state, WallClock(), state / "backups")
        await storage.runs.set_paused("screen", paused=True)
        with vcpd.open_store(state) as market:
            assert market.runs().is_empty()
        assert await storage.runs.paused() == {"screen"}  # the server runs on
        await storage.close()
        with vcpd.open_store(state) as market:
            assert market.runs().is_empty()
            assert market._run(market._storage.runs.paused()) == {"screen"}
        assert await EmbeddedPostgres(state / "postgres").attach() is None


def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCPD_STORE_DSN", raising=False)
    with pytest.raises(UnavailableError, match="holds no store: `vcpd run` or `vcpd import` creates it"):
        vcpd.open_store(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match="no such file"):
        vcpd.open_store(tmp_path / "none.toml")


async def test_an_address_that_nobody_serves_is_named(
    postgres_server: Secret, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fresh_address(postgres_server) as gone:
        monkeypatch.setenv("VCPD_STORE_DSN", gone.reveal())
    with pytest.raises(UnavailableError, match="the store refuses vcpd"):
        vcpd.open_store(store)


async def test_the_example_of_the_page_runs(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
    (example,) = [code for block in blocks if "open_store" in (code := block.partition("```")[0])]
    monkeypatch.chdir(filled.parent)
    names: dict[str, pl.DataFrame] = {}
    exec(example, names)
    heights = {name: names[name].height for name in ("bars", "index", "setups", "scores", "events", "runs")}
    assert heights == {"bars": 990, "index": 330, "setups": 2, "scores": 1, "events": 1, "runs": 1}
