"""Time and processor time of judging an account of 200 positions and 2,000 closed trades after a session.

`python -m benchmarks.positions` prints the best of several runs: the report alone, and the whole task with
its journal, the first time, on each evening after it (the journal before is known), and with new sales;
and how long the port takes to answer about that account out of PostgreSQL, asked by a client in the same
process. `/api/record` answers about 2,000 reported setups that are held in memory: the first question has
them computed, later ones read what was kept.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import numpy as np

from tests.fakes.record import entries_of, reported
from tests.fakes.regimes import regime_of
from tests.fakes.web import sources
from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.position_task import PositionTaskParams, judge_account
from vcpd.analysis.positions import PositionSettings, report_positions
from vcpd.app.record_outcomes import RecordOutcomes
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries
from vcpd.domain.market_regime import MarketRegime
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.portfolio import Fill, Side, StoredFill
from vcpd.domain.position_notes import CompanyNote, JudgedAccount, PurchaseNote
from vcpd.domain.record import RecordEntry, ReportedSetup
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.fills import PostgresPositionReports
from vcpd.store.settings import StoreSettings
from vcpd.web.server import WebServer
from vcpd.web.settings import WebSettings

SYMBOLS = 500
SESSIONS = 1_250
HELD = 200
SOLD = 2_000
FIRST = date(2020, 1, 1)
QUESTIONS = 60
ANSWERS = (
    "/api/positions",
    "/api/heat",
    "/api/journal?trades=100",
    "/api/journal?symbol=NSE:S300",
    "/api/journal",
    "/api/record",
    "/api/record?limit=2000",
)
REPORTED = 2_000


def main() -> None:
    """Print milliseconds of processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    panel = market()
    parameters = account(panel)
    judged = judge_account(panel, range(1), parameters)
    later = msgspec.structs.replace(parameters, earlier_journal=judged.texts.journal)
    one_sale, five_sales = (with_sales(later, count) for count in (1, 5))
    book = build_lot_book([entry.fill for entry in parameters.fills])
    bars = {symbol: panel.series(symbol) for symbol in {lot.symbol for lot in book.lots}}
    print(f"{judged.point.lots} lots, {len(book.closed)} closed trades, {judged.firing} rules fire")
    measured: dict[str, Callable[[], object]] = {
        "positions and heat": lambda: report_positions(book, bars, parameters.as_of, parameters.settings),
        "the whole task, first time": lambda: judge_account(panel, range(1), parameters),
        "the whole task, each evening": lambda: judge_account(panel, range(1), later),
        "the whole task, with a new sale": lambda: judge_account(panel, range(1), one_sale),
        "the whole task, with five new sales": lambda: judge_account(panel, range(1), five_sales),
        "sent to a worker and back": lambda: _round_trip(parameters, judged),
    }
    for name, run in measured.items():
        best = min(_processor_ms(run) for _ in range(arguments.rounds))
        print(f"{name}: {best:.1f} ms")
    sizes = len(judged.texts.report) / 1e3, len(judged.texts.journal) / 1e3
    print(f"the report has {sizes[0]:.0f} kB, the journal {sizes[1]:.0f} kB")
    asyncio.run(measure_answers(judged, panel))


async def measure_answers(judged: JudgedAccount, panel: Panel) -> None:
    """Print milliseconds from the request to the whole answer, one after the other."""
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        database = await Database.open(Secret(await server.start()), StoreSettings())
        try:
            reports = PostgresPositionReports(database)
            await reports.put(judged.point, judged.texts)
            market: Any = ReportedMarket(panel)
            record = RecordOutcomes(market, market, market, market)
            began = time.perf_counter()
            await record.report(0)
            print(f"outcomes of {REPORTED} reported setups: {1e3 * (time.perf_counter() - began):.0f} ms")
            web = replace(sources(), positions=reports, record=record)
            port = await WebServer.start(WebSettings(port=0), web)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port.port}") as client:
                for path in ANSWERS:
                    await _time_answers(client, path)
            await port.close()
        finally:
            await database.close()
            await server.stop()


class ReportedMarket:
    """A record, its market and the worker that computes, in this process."""

    def __init__(self, panel: Panel) -> None:
        chance = random.Random(8)
        self.panel = panel
        self.kept = entries_of(*(self._setup(chance, number) for number in range(REPORTED)))

    def _setup(self, chance: random.Random, number: int) -> ReportedSetup:
        """A base of its own that is reported at any of the last 500 sessions."""
        row, column = chance.randrange(SYMBOLS), SESSIONS - 1 - chance.randrange(500)
        close = float(self.panel.close[row, column])
        session, anchor = self.panel.sessions[column].item(), FIRST + timedelta(number)
        return reported(
            session, symbol=self.panel.symbols[row], close=close, stop=0.93 * close, anchor=anchor
        )

    async def head(self) -> str:
        return self.kept[-1].text

    async def entries(self) -> Sequence[RecordEntry]:
        return self.kept

    async def regimes(self, _until: date | None, limit: int) -> Sequence[MarketRegime]:
        return [regime_of(day) for day in self.panel.sessions[-limit:].tolist()]

    async def load(self) -> tuple[SimpleNamespace, Panel]:
        return SimpleNamespace(version="1"), self.panel

    async def map_panel(
        self, task: Callable[[Panel, range, object], object], _panel: object, parameters: object
    ) -> Sequence[object]:
        return [task(self.panel, range(SYMBOLS), parameters)]

    async def call(self, task: Callable[..., object], *parameters: object) -> object:
        return task(*parameters)


async def _time_answers(client: aiohttp.ClientSession, path: str) -> None:
    times, size = [], 0
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        async with client.get(path) as answer:
            size = len(await answer.read())
        times.append(1e3 * (time.perf_counter() - began))
    worst = sorted(times)[int(0.95 * QUESTIONS)]
    print(f"GET {path}: median {statistics.median(times):.1f} ms, p95 {worst:.1f} ms, {size / 1e3:.0f} kB")


def _processor_ms(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return 1e3 * (time.process_time() - began)


def _round_trip(parameters: PositionTaskParams, judged: JudgedAccount) -> object:
    packed = msgspec.msgpack.encode(parameters), msgspec.msgpack.encode(judged)
    return msgspec.msgpack.decode(packed[1], type=JudgedAccount)


def market() -> Panel:
    """Random walks of `SYMBOLS` symbols over `SESSIONS` days."""
    noise = np.random.default_rng(7)
    days = np.arange(SESSIONS) + np.datetime64(FIRST, "D")
    series = []
    for number in range(SYMBOLS):
        close = 100 * np.exp(np.cumsum(noise.normal(0.0004, 0.02, SESSIONS)))
        prices = (close * 0.998, close * 1.012, close * 0.988, close)
        series.append(BarSeries.from_columns(f"NSE:S{number}", days, prices, np.full(SESSIONS, 1e5)))
    return build_panel(series)


def account(panel: Panel) -> PositionTaskParams:
    """Purchases at the close with stops of 8 %; `SOLD` of them sold after some weeks."""
    chance = random.Random(7)
    last = panel.sessions[-1].item()
    fills: list[Fill] = []
    for number in range(SOLD):
        opened = chance.randrange(250, SESSIONS - 60)
        fills += trade(panel, number, chance.randrange(HELD, SYMBOLS), (opened, chance.randrange(5, 60)))
    for number in range(SOLD, SOLD + HELD):
        fills += trade(panel, number, number - SOLD, (chance.randrange(SESSIONS - 80, SESSIONS), None))
    return PositionTaskParams(
        as_of=last,
        after=last - timedelta(1),
        settings=PositionSettings(equity=1e7),
        fills=[StoredFill(id=number, fill=fill) for number, fill in enumerate(fills)],
        purchases=[purchase_note(chance, fill) for fill in fills if fill.side is Side.BUY],
        companies=[CompanyNote(symbol=symbol, instrument_id=row) for row, symbol in enumerate(panel.symbols)],
    )


def purchase_note(chance: random.Random, fill: Fill) -> PurchaseNote:
    """What was known on the day of a purchase, so that the journal has as many groups as a real one."""
    return PurchaseNote(
        symbol=fill.symbol,
        session=fill.session,
        pivot=0.99 * fill.price,
        footprint=f"8W 20/5 {chance.choices('23456', (40, 30, 20, 8, 2))[0]}T",
        score=min(99.0, max(1.0, chance.gauss(65, 15))),
        term=chance.choices(("uptrend", "correction", "unknown"), (70, 25, 5))[0],
    )


def with_sales(parameters: PositionTaskParams, count: int) -> PositionTaskParams:
    """The account after so many of its positions were sold on the last session."""
    sales = [
        StoredFill(
            id=10**6 + number,
            fill=msgspec.structs.replace(
                entry.fill, session=parameters.as_of, side=Side.SELL, trade_id=f"x{number}", stop=None
            ),
        )
        for number, entry in enumerate(parameters.fills[-count:])
    ]
    return msgspec.structs.replace(parameters, fills=[*parameters.fills, *sales])


def trade(panel: Panel, number: int, row: int, when: tuple[int, int | None]) -> list[Fill]:
    """A purchase at place `when[0]`, and its sale so many sessions later."""
    opened, held = when
    price = float(panel.close[row, opened])
    bought = Fill(
        symbol=panel.symbols[row],
        session=panel.sessions[opened].item(),
        side=Side.BUY,
        quantity=10,
        price=price,
        trade_id=f"b{number}",
        stop=0.92 * price,
    )
    if held is None:
        return [bought]
    sold = msgspec.structs.replace(
        bought,
        session=panel.sessions[opened + held].item(),
        side=Side.SELL,
        price=float(panel.close[row, opened + held]),
        trade_id=f"s{number}",
        stop=None,
    )
    return [bought, sold]


if __name__ == "__main__":
    main()
