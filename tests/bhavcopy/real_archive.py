"""A local archive of real events: reports of both eras that list them, and bulletins of unadjusted bars.

The events are a list of real splits and bonuses; their purposes are spelled here as the archive spells them.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path

import numpy as np
import polars as pl

from tests.bhavcopy.publisher import MONTHS, zipped
from tests.real_data import real_data
from vcpd.bhavcopy.archive import index_file, legacy_file, report_file, udiff_file
from vcpd.bhavcopy.corporate_actions import adjustment_factors
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.nse_calendar import NSE

EVENTS = "corporate_actions/nse_split_bonus_events_2019_2026H1.parquet"
NEW_ERA = date(2025, 10, 1)
UDIFF_SINCE = date(2024, 7, 8)
LISTED_DAYS_AHEAD = 10
REAL_REPORTS = (date(2025, 12, 16), date(2025, 12, 17), date(2025, 12, 18))
HEADER = "SERIES,SYMBOL,SECURITY,RECORD_DT,BC_STRT_DT,BC_END_DT,EX_DT,ND_STRT_DT,ND_END_DT,PURPOSE"
_SPLIT = re.compile(r"from\s*(?:rs|re)?\.?\s*([\d.]+).*?to\s*(?:rs|re)?\.?\s*([\d.]+)", re.IGNORECASE)
_BONUS = re.compile(r"bonus\s*(\d+)\s*:\s*(\d+)", re.IGNORECASE)
SPLIT_SPELLINGS = ("FVSPLT FRM RS {} TO RS {}", "FV SPLT FRM RS {} TO RE {}", "FV SPLIT RS.{}/- TO RS.{}/-")


@dataclass(frozen=True)
class Event:
    """A real split or bonus: `factor` multiplies older prices."""

    symbol: str
    ex_date: date
    factor: float
    subject: str


def real_events() -> list[Event]:
    rows = pl.read_parquet(real_data(EVENTS)).iter_rows(named=True)
    return [Event(row["symbol"], row["ex"], row["f"], row["subject"]) for row in rows]


def archive_purposes(events: Sequence[Event]) -> list[str]:
    """The purposes as the archive would write them, in turn in each of its spellings."""
    spellings = cycle(SPLIT_SPELLINGS)
    return [_archive_purpose(event.subject, next(spellings)) for event in events]


def _archive_purpose(subject: str, spelling: str) -> str:
    bonus, split = _BONUS.search(subject), _SPLIT.search(subject)
    parts = [f"BONUS {bonus[1]}:{bonus[2]}"] if bonus else []
    if split:
        values = [f"{float(text.rstrip('.')):g}" for text in split.groups()]
        parts.append(f"FV SPL {values[0]} TO {values[1]}" if bonus else spelling.format(*values))
    return "/".join(parts) or subject.upper()


def report(session: date, rows: Sequence[tuple[str, str, date | None, str]]) -> bytes:
    """A daily report of `session` in the layout of its era; `rows` are series, symbol, ex-date, purpose."""
    is_new = session >= NEW_ERA
    pattern = "%Y-%m-%d" if is_new else "%d/%m/%Y"
    lines = [
        HEADER,
        f"N1,10BOND30,SEC RE NCD 10%,{session:{pattern}},,,{session:{pattern}},,,INTEREST PAYMENT",
    ]
    for series, symbol, ex_date, purpose in rows:
        day = f"{ex_date:{pattern}}" if ex_date else ""
        lines.append(f"{series},{symbol},{symbol} Limited,{day},,,{day},,,{purpose}")
    name = f"bc{session:%d%m%Y}.csv" if is_new else f"Bc{session:%d%m%y}.csv"
    return members_zip({name: "\r\n".join(lines)})


def members_zip(members: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def event_reports(events: Sequence[Event], sessions: Sequence[date]) -> Iterator[tuple[str, bytes]]:
    """Path below the archive's root and file of each session's report; each event is listed for days."""
    purposes = archive_purposes(events)
    for session in sessions:
        until = session + timedelta(days=LISTED_DAYS_AHEAD)
        rows = [
            (series, event.symbol, event.ex_date, purpose)
            for event, purpose in zip(events, purposes, strict=True)
            if session <= event.ex_date <= until
            for series in ("EQ", "BE")
        ]
        yield report_file(session).path, report(session, rows)


def real_reports() -> Iterator[tuple[str, bytes]]:
    """Path and file of the exchange's own reports: one as it was published, two from their members."""
    for session in REAL_REPORTS:
        whole = real_data("nse_pr") / f"PR{session:%d%m%y}.zip"
        members = {
            path.name: path.read_text("latin-1")
            for path in sorted(whole.parent.glob(f"*{session:%d%m%Y}.*"))
            if "_" not in path.name  # series changes and bulletins are files of their own
        }
        yield report_file(session).path, whole.read_bytes() if whole.exists() else members_zip(members)


def real_histories(symbols: frozenset[str] | None = None) -> dict[str, BarSeries]:
    """The real adjusted bars by symbol, of those in `symbols` where they are given."""
    frame = pl.read_parquet(real_data("nse_all_half.parquet")).sort("symbol", "date")
    if symbols is not None:
        frame = frame.filter(pl.col("symbol").is_in(sorted(symbols)))
    return {str(key[0]): _series(str(key[0]), part) for key, part in frame.group_by("symbol")}


def unadjusted(truth: BarSeries, events: Sequence[Event]) -> BarSeries:
    """The bars as they were published before the events."""
    if not events:
        return truth
    factors: dict[date, float] = {}
    for event in events:
        factors[event.ex_date] = factors.get(event.ex_date, 1.0) * event.factor
    scale = adjustment_factors(truth, factors)
    records = truth.records.copy()
    for name in PRICE_FIELDS:
        records[name] /= scale
    records["volume"] *= scale
    return BarSeries(truth.symbol, records)


def daily_files(histories: Mapping[str, BarSeries], sessions: Sequence[date]) -> Iterator[tuple[str, bytes]]:
    """Path and file of each session's bulletin, legacy or UDiFF, and of its index values."""
    rows: dict[date, list[tuple[str, tuple[float, ...]]]] = {}
    for symbol, series in histories.items():
        for bar in series.records.tolist():
            rows.setdefault(bar[0], []).append((symbol, bar[1:6]))
    for session in sessions:
        is_udiff = session >= UDIFF_SINCE
        file = udiff_file(session) if is_udiff else legacy_file(session)
        write: Callable[[date, Sequence[tuple[str, tuple[float, ...]]]], Iterator[str]] = (
            _udiff_lines if is_udiff else _legacy_lines
        )
        text = "\n".join(write(session, rows.get(session, [])))
        yield file.path, zipped(file.name.removesuffix(".zip"), text)
        yield index_file(session).path, _index_values(session)


def _legacy_lines(session: date, rows: Sequence[tuple[str, tuple[float, ...]]]) -> Iterator[str]:
    day = f"{session:%d}-{MONTHS[session.month - 1]}-{session:%Y}"
    yield "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,"
    for symbol, (o, h, low, c, volume) in rows:
        yield f"{symbol},EQ,{o!r},{h!r},{low!r},{c!r},{c!r},{c!r},{volume:.0f},1,{day},9,{_isin(symbol)},"


def _udiff_lines(session: date, rows: Sequence[tuple[str, tuple[float, ...]]]) -> Iterator[str]:
    yield "TradDt,ISIN,TckrSymb,SctySrs,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,PrvsClsgPric,TtlTradgVol"
    for symbol, (o, h, low, c, volume) in rows:
        yield f"{session},{_isin(symbol)},{symbol},EQ,{symbol},{o!r},{h!r},{low!r},{c!r},{c!r},{volume:.0f}"


def _index_values(session: date) -> bytes:
    return (
        "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value\n"
        f"Nifty 50,{session:%d-%m-%Y},100,101,99,100\nNifty 500,{session:%d-%m-%Y},100,101,99,100\n"
    ).encode()


def _isin(symbol: str) -> str:
    return f"INE{sum(ord(letter) * 31**at for at, letter in enumerate(symbol)) % 10**6:06d}{len(symbol):02d}1"


def _series(symbol: str, frame: pl.DataFrame) -> BarSeries:
    columns = {name: frame[name].cast(pl.Float64).to_numpy() for name in (*PRICE_FIELDS, "volume")}
    prices = (columns["open"], columns["high"], columns["low"], columns["close"])
    days = frame["date"].to_numpy().astype("M8[D]")
    kept = np.isin(days, NSE.sessions(days[0].item(), days[-1].item()))
    series = BarSeries.from_columns(symbol, days, prices, columns["volume"])
    return BarSeries(symbol, series.records[kept])


def write_archive(files: Iterator[tuple[str, bytes]], folder: Path) -> Path:
    """The files below `folder`, as an archive's server would serve them."""
    for path, body in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return folder
