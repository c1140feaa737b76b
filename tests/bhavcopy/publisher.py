"""An exchange's press: a small market whose true history is known, printed as bulletins in any layout.

The truth is in today's number of shares; what is printed is what the exchange would have printed then:
prices before a split or bonus in the shares of their time, old names, old ISINs, and the usual dirt.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from vcpd.bhavcopy.archive import full_file, index_file, legacy_file, udiff_file
from vcpd.domain.bars import FloatArray
from vcpd.domain.nse_calendar import NSE

FIRST, LAST = date(2024, 6, 3), date(2024, 8, 30)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


@dataclass(frozen=True)
class Share:
    """`truth` is (sessions, 5): open, high, low, close in today's shares, and volume."""

    symbol: str
    truth: FloatArray
    isin: str
    series: str = "EQ"
    ex_date: date | None = None
    factor: float = 1.0
    subject: str = ""
    old_isin: str = ""  # before the ex-date
    old_symbol: str = ""
    renamed_on: date | None = None
    moved_on: date | None = None  # into trade-for-trade
    idle: frozenset[date] = frozenset()


@dataclass(frozen=True)
class Printed:
    """One line of a bulletin, as texts."""

    symbol: str
    series: str
    isin: str
    prices: tuple[float, float, float, float]
    previous: float
    volume: int


@dataclass
class Publisher:
    """Prints the sessions of a market."""

    sessions: Sequence[date]
    shares: Sequence[Share]
    indices: Mapping[str, FloatArray]  # (sessions, 4)
    layout_of: Callable[[date], str] = field(
        default=lambda day: "udiff" if day >= date(2024, 7, 8) else "legacy"
    )

    def lines(self, session: date) -> list[Printed]:
        at = list(self.sessions).index(session)
        return [_printed(share, self.sessions, at) for share in self.shares if session not in share.idle]

    def daily_file(self, session: date, layout: str) -> tuple[str, bytes]:
        """Path below the archive's root, and the file."""
        lines = self.lines(session)
        if layout == "legacy":
            file = legacy_file(session)
            return file.path, zipped(file.name.removesuffix(".zip"), "\n".join(_legacy(lines, session)))
        if layout == "full":
            return full_file(session).path, "\r\n".join(_full(lines, session)).encode()
        file = udiff_file(session)
        return file.path, zipped(file.name.removesuffix(".zip"), "\n".join(_udiff(lines, session)))

    def index_values(self, session: date) -> tuple[str, bytes]:
        at = list(self.sessions).index(session)
        header = (
            "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,"
            "Points Change,Change(%),Volume,Turnover (Rs. Cr.),P/E,P/B,Div Yield"
        )
        rows = [header]
        for name, values in self.indices.items():
            o, h, low, c = values[at]
            rows.append(
                f"{name},{session:%d-%m-%Y},{o:.2f},{h:.2f},{low:.2f},{c:.2f},1,.1,1000,10.5,20,3,1.2"
            )
        rows.append(f"Nifty Sugar & Ethanol,{session:%d-%m-%Y},-,-,-,2864.73,154.78,5.71,-,-,-,-,.42")
        return index_file(session).path, "\n".join(rows).encode()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Everything the archive holds of this market."""
        for session in self.sessions:
            yield self.daily_file(session, self.layout_of(session))
            yield self.index_values(session)

    def action_list(self) -> bytes:
        """The list as the exchange's site offers it for download, with what does not concern prices."""
        rows = [
            '"SYMBOL","COMPANY NAME","SERIES","PURPOSE","FACE VALUE","EX-DATE","RECORD DATE"',
            '"ALPHA","Alpha Limited","EQ"," Interim Dividend - Rs 1 Per Share","10","05-Jul-2024","-"',
        ]
        rows += [
            f'"{share.symbol}","{share.symbol} Limited","{series}"," {share.subject}","10",'
            f'"{share.ex_date:%d-%b-%Y}","{share.ex_date:%d-%b-%Y}"'
            for share in self.shares
            if share.ex_date is not None
            for series in ("EQ", "BE")
        ]
        return ("\ufeff" + "\n".join(rows)).encode()

    def publish(self, folder: Path) -> Path:
        """All files in `folder`, as somebody may have collected them."""
        for path, body in self.files():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
        (folder / "CF-CA-equities-01-01-2024-to-31-12-2024.csv").write_bytes(self.action_list())
        return folder


def small_market(seed: int = 11) -> Publisher:
    """Seven shares with everything that happens to shares, and two indices."""
    sessions: list[date] = NSE.sessions(FIRST, LAST).tolist()
    dice = np.random.default_rng(seed)
    walk = partial(_walk, dice, len(sessions))
    shares = [
        Share("ALPHA", walk(100.0), "INE000A01011"),
        Share(
            "BETA",
            walk(60.0),
            "INE000B01029",
            ex_date=date(2024, 7, 15),
            factor=0.2,
            subject="Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share",
            old_isin="INE000B01011",
        ),
        Share(
            "GAMMA", walk(250.0), "INE000C01011", ex_date=date(2024, 8, 5), factor=0.5, subject="Bonus 1:1"
        ),
        Share("NEWNAME", walk(40.0), "INE000D01011", old_symbol="OLDNAME", renamed_on=date(2024, 7, 22)),
        Share("DELTA", walk(900.0), "INE000E01011", moved_on=date(2024, 8, 12)),
        Share("SMALL", walk(30.0), "INE000F01011", series="SM"),
        Share("BAJAJ-AUTO", walk(9000.0), "INE000G01011", idle=frozenset(sessions[20:26])),
    ]
    indices = {"Nifty 50": walk(23000.0)[:, :4], "Nifty 500": walk(21000.0)[:, :4]}
    return Publisher(sessions, shares, indices)


def zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def _walk(dice: np.random.Generator, n: int, start: float) -> FloatArray:
    """(n, 5) bars without impossible steps; volume in whole shares that any factor here divides."""
    close = start * np.exp(np.cumsum(dice.normal(0, 0.012, n)))
    opened = close * np.exp(dice.normal(0, 0.004, n))
    high = np.maximum(opened, close) * (1 + dice.uniform(0.001, 0.01, n))
    low = np.minimum(opened, close) * (1 - dice.uniform(0.001, 0.01, n))
    volume = dice.integers(100, 9000, n) * 100.0
    return np.column_stack([opened, high, low, close, volume])


def _printed(share: Share, sessions: Sequence[date], at: int) -> Printed:
    session = sessions[at]
    before_ex = share.ex_date is not None and session < share.ex_date
    scale = share.factor if before_ex else 1.0
    prices = tuple(float(round(value / scale, 2)) for value in share.truth[at, :4])
    previous = share.truth[max(at - 1, 0), 3] / scale
    old_name = share.renamed_on is not None and session < share.renamed_on
    moved = share.moved_on is not None and session >= share.moved_on
    return Printed(
        share.old_symbol if old_name else share.symbol,
        "BE" if moved else share.series,
        share.old_isin if before_ex and share.old_isin else share.isin,
        (prices[0], prices[1], prices[2], prices[3]),
        previous,
        round(share.truth[at, 4] * scale),
    )


def _legacy(lines: Sequence[Printed], session: date) -> Iterator[str]:
    day = f"{session:%d}-{MONTHS[session.month - 1]}-{session:%Y}"
    yield "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,"
    yield f"1018GS2026,GS,104,104,104,104,104,0,5,520,{day},1,IN0020010081,"
    for line in lines:
        o, h, low, c = line.prices
        yield (
            f"{line.symbol},{line.series},{o},{h},{low},{c},{c},{line.previous:.2f},{line.volume},1.5E+7,{day},"
            f"321,{line.isin},"
        )
    yield f"ALPHA,BL,1,1,1,1,1,1,1,1,{day},1,INE000A01011,"
    yield ""


def _full(lines: Sequence[Printed], session: date) -> Iterator[str]:
    day = f"{session:%d}-{MONTHS[session.month - 1].title()}-{session:%Y}"
    yield (
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, "
        "AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER"
    )
    yield f"ALPHA, T0, {day}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -, -"
    for line in lines:
        o, h, low, c = line.prices
        yield (
            f"{line.symbol}, {line.series}, {day}, {line.previous:.2f}, {o}, {h}, {low}, , {c}, {c}, "
            f"{line.volume}, 12.5, 321, -,  -"
        )
    yield f"771GS2030, GS, {day}, , , , , , , , 0, 0, 0, -, -"
    yield " , , , , , , , , , , , , , , "


def _udiff(lines: Sequence[Printed], session: date) -> Iterator[str]:
    yield (
        "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,"
        "StrkPric,OptnTp,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,"
        "SttlmPric,OpnIntrst,ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,"
        "Rsvd1,Rsvd2,Rsvd3,Rsvd4"
    )
    for number, printed in enumerate(lines):
        o, h, low, c = printed.prices
        yield (
            f"{session},{session},CM,NSE,STK,{number},{printed.isin},{printed.symbol},{printed.series},,,,,"
            f'"{printed.symbol}, LIMITED",{o},{h},{low},{c},{c},{printed.previous:.2f},,{c},,,'
            f"{printed.volume},1.0,9,F1,1,,,,,"
        )
    yield f"{session},{session},CM,NSE,STK,9,INE000A08011,ALPHA,N1,,,,,BOND,,,,,,,,,,,,,,F1,1,,,,,"
