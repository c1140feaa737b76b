"""The same days through both markets: `python -m benchmarks.both_markets [SYMBOLS] [SESSIONS]`.

A simulated market is served as Kite and written as daily files. After each of the last SESSIONS sessions the
histories of both are read through their clients and screened. Prints each verdict that differs and why.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import prod
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bhavcopy.publisher import Printed, Publisher
from tests.fakes.clock import FakeClock, Sleep
from vcpd.analysis.screen import ScreenParams, screen_rows
from vcpd.bhavcopy.client import create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.core.secrets import Secret
from vcpd.domain.bars import PRICE_FIELDS, BarSeries, FloatArray
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import build_panel
from vcpd.domain.setups import Setup
from vcpd.kite.auth import KiteCredentials, KiteSession, SandboxLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport
from vcpd.ports import MarketData
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.settings import RateSettings, SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

LAST: Final = date(2025, 6, 30)
BENCHMARK: Final = "NSE:NIFTY 500"
WIDE: Final = RateSettings(
    quote_per_s=100_000, historical_per_s=100_000, other_per_s=100_000, all_gets_per_s=100_000
)
UNEXPLAINED: Final = "unexplained"
SPLIT_ROUNDING: Final = "prices before a split are rounded to the tick by Kite, not by the daily files"
OTHER_RATINGS: Final = "its own bars are the same; its rating follows those of shares that differ"


def evening_of(session: date) -> datetime:
    return datetime.fromisoformat(f"{session}T21:00:00+05:30")


class SimulatedPublisher(Publisher):
    """Prints a simulated market's bars as they were traded, before a split in the shares of that time."""

    def __init__(self, market: SimulatedMarket, last: date) -> None:
        self._splits = market.splits()
        self._printed: dict[date, list[Printed]] = {}
        indices: dict[str, BarSeries] = {}
        at = evening_of(last)
        for number, listing in enumerate(market.listings(at)):
            series = market.bars(listing.token, at)
            if series is None or not len(series):
                continue
            if listing.is_index:
                indices[listing.trading_symbol.title()] = series
            else:
                self._print(listing.trading_symbol, f"INE{number:06d}011", series, last)
        sessions = sorted(self._printed)
        values = {
            name: _prices(series)[np.isin(series.sessions, np.array(sessions, "M8[D]"))]
            for name, series in indices.items()
        }
        super().__init__(sessions, [], values)

    def lines(self, session: date) -> list[Printed]:
        return self._printed[session]

    def action_list(self) -> bytes:
        rows = [
            '"SYMBOL","COMPANY NAME","SERIES","PURPOSE","FACE VALUE","EX-DATE","RECORD DATE"',
            *(
                f'"{symbol.partition(":")[2]}","Limited","EQ","Face Value Split (Sub-Division) - From '
                f'Rs {ratio}/- Per Share To Re 1/- Per Share","{ratio}","{ex:%d-%b-%Y}","{ex:%d-%b-%Y}"'
                for symbol, splits in self._splits.items()
                for ex, ratio in splits
            ),
        ]
        return "\n".join(rows).encode()

    def _print(self, name: str, isin: str, series: BarSeries, last: date) -> None:
        previous = float(series.close[0])
        splits = [(ex, ratio) for ex, ratio in self._splits.get(f"NSE:{name}", ()) if ex <= last]
        for record, day in zip(series.records, series.sessions.tolist(), strict=True):
            ratio = prod(ratio for ex, ratio in splits if day < ex)
            o, h, low, c = (round(float(record[field]) * ratio, 2) for field in PRICE_FIELDS)
            line = Printed(name, "EQ", isin, (o, h, low, c), previous, round(float(record["volume"]) / ratio))
            self._printed.setdefault(day, []).append(line)
            previous = c


def _prices(series: BarSeries) -> FloatArray:
    return np.column_stack([series.records[name] for name in PRICE_FIELDS])


@dataclass(frozen=True)
class Difference:
    """A verdict that the two markets do not share."""

    session: date
    symbol: str
    kite: str
    files: str
    reason: str


@dataclass
class Comparison:
    """What both markets agree on, and each difference."""

    verdicts: int = 0
    bases: int = 0
    differences: list[Difference] = field(default_factory=list)

    def table(self) -> Iterator[str]:
        yield f"{self.verdicts} verdicts, {self.bases} with a base, {len(self.differences)} differ"
        for reason, count in Counter(each.reason for each in self.differences).most_common():
            yield f"{count:6d}  {reason}"
        for each in self.differences:
            yield f"{each.session}  {each.symbol:<16} kite {each.kite}; files {each.files}: {each.reason}"


async def histories(market: MarketData, first: date, last: date) -> dict[str, BarSeries]:
    listed = await market.instruments()
    found = {each.symbol: await market.daily_bars(each, first, last) for each in listed}
    return {symbol: series for symbol, series in found.items() if len(series)}


def screened(found: Mapping[str, BarSeries], session: date) -> dict[str, Setup]:
    shares = {symbol: series for symbol, series in found.items() if not symbol.startswith("NSE:NIFTY")}
    panel = build_panel(shares.values(), found.get(BENCHMARK))
    judged = screen_rows(panel, range(len(panel.symbols)), ScreenParams(as_of=session))
    return {setup.symbol: setup for setup in judged.setups}


def shown(setup: Setup | None) -> str:
    """What a list shows of a verdict."""
    if setup is None:
        return "not listed"
    if setup.state is None:
        return "no base"
    return f"{setup.state} {setup.footprint} pivot {setup.pivot:.2f} stop {setup.stop:.2f}"


def reason_of(
    symbol: str,
    kite: Mapping[str, BarSeries],
    files: Mapping[str, BarSeries],
    splits: Mapping[str, Sequence[tuple[date, int]]],
) -> str:
    mine, other = kite.get(symbol), files.get(symbol)
    if mine is None or other is None:
        return f"listed by {'the daily files' if mine is None else 'Kite'} alone"
    if not np.array_equal(mine.sessions, other.sessions):
        days = np.setxor1d(mine.sessions, other.sessions)
        return f"only one of them has a bar of {days[0]}"
    if np.allclose(_prices(mine), _prices(other), rtol=0, atol=1e-6):
        same_volume = np.allclose(mine.volume, other.volume, rtol=1e-6)
        return OTHER_RATINGS if same_volume else f"volumes differ: {UNEXPLAINED}"
    return SPLIT_ROUNDING if symbol in splits else f"prices differ: {UNEXPLAINED}"


async def compare(symbols: int, n_sessions: int, folder: Path, years: int = 1) -> Comparison:
    """Screen the last sessions of one simulated market through both clients."""
    settings = SandboxSettings(symbols=symbols, seed=7, years=years, limits=WIDE)
    simulated = SimulatedMarket(settings, NSE, LAST)
    SimulatedPublisher(simulated, LAST).publish(folder / "files")
    sessions = NSE.sessions(date(LAST.year - years, 1, 1), LAST).tolist()
    clock, comparison = FakeClock(evening_of(sessions[-n_sessions]), Sleep.RETURNS), Comparison()
    server = await start_server(settings, simulated, clock, port=0)
    async with aiohttp.ClientSession() as http:
        kite = _kite(settings, server.url, clock, http, folder)
        bhavcopy = BhavcopySettings(folder=str(folder / "files"), retry_missing_min=0)
        time = ExchangeClock(clock, NSE)
        files = create_client(bhavcopy, folder / "state", time, NSE_EXCHANGE, http)
        for session in sessions[-n_sessions:]:
            clock.at = evening_of(session)
            ours = await histories(kite, sessions[0], session)
            theirs = await histories(files, sessions[0], session)
            _compare_session(session, ours, theirs, simulated.splits(), comparison)
    await server.close()
    return comparison


def _compare_session(
    session: date,
    kite: Mapping[str, BarSeries],
    files: Mapping[str, BarSeries],
    splits: Mapping[str, Sequence[tuple[date, int]]],
    comparison: Comparison,
) -> None:
    mine, other = screened(kite, session), screened(files, session)
    for symbol in sorted({*mine, *other}):
        left, right = shown(mine.get(symbol)), shown(other.get(symbol))
        comparison.verdicts += 1
        comparison.bases += left != "no base"
        if left != right:
            reason = reason_of(symbol, kite, files, splits)
            comparison.differences.append(Difference(session, symbol, left, right, reason))


def _kite(
    settings: SandboxSettings, url: str, clock: FakeClock, http: aiohttp.ClientSession, folder: Path
) -> KiteClient:
    account = KiteSettings(api_key=settings.api_key, api_root=url, login_root=f"{url}/connect/login")
    wide = LimitSettings(quote_per_s=900, historical_per_s=900, other_per_s=900, all_gets_per_s=900)
    transport = Transport(http, account, RateLimits(wide))
    credentials = KiteCredentials.of(account, Secret(settings.api_secret))
    file = TokenFile(folder / "token.json")
    session = KiteSession(transport, credentials, clock, file, NSE_EXCHANGE, automatic=SandboxLogin(http))
    return KiteClient(transport, session, NSE_EXCHANGE)


def main() -> None:
    symbols, n_sessions = (int(text) for text in [*sys.argv[1:], *("60", "21")[len(sys.argv) - 1 :]])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        for line in asyncio.run(compare(symbols, n_sessions, Path(folder))).table():
            print(line)


if __name__ == "__main__":
    main()
