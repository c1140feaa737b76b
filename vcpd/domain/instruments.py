"""Instruments as the exchange lists them and as the store keeps them, funds among them; quotes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")
EQUITY_SERIES: Final = ("EQ", "BE", "BZ", "SM", "ST", "SZ")  # of shares; the most ordinary first
TRADE_FOR_TRADE_SERIES: Final = ("BE", "BZ")  # of the main board: no purchase is sold on the same day
TRADE_FOR_TRADE_OF_ALL_BOARDS: Final = frozenset(
    {*TRADE_FOR_TRADE_SERIES, "ST", "SZ"}
)  # those of the SME platform too
SME_SERIES: Final = ("SM", "ST", "SZ")  # of the platform for small and medium enterprises
VENDOR_INDEX_NAMES: Final[Mapping[str, str]] = {
    "^NSEI": "NIFTY 50",
    "^CRSLDX": "NIFTY 500",
    "^NSEBANK": "NIFTY BANK",
}
UNKNOWN_SHARES: Final = ""  # classes of shares whose trading hours differ
FUTURES_SHARES: Final = "F&O"
OTHER_SHARES: Final = "other"
ISO_DATE_LENGTH: Final = len("2025-06-30")
MAX_SYMBOL_CHARACTERS: Final = 128
MAX_QUOTES_PER_REQUEST: Final = 500  # of one request to a market
# Control characters, marks that change the direction of text, and halves of characters.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Series between which a share moves; a bond, a warrant or a partly paid share only bears its company's name.
_SERIES_SUFFIX: Final = re.compile(r"-(?:BE|BZ|SM|ST|SZ)$")
_TRADE_FOR_TRADE_SUFFIX: Final = re.compile(r"-(?:BE|BZ|ST|SZ)$")
TRADE_FOR_TRADE_BAND_PCT: Final = 5.0  # the widest daily price band that such a share has
_VENDOR_SUFFIX: Final = re.compile(r"(?:\.NSE?|-EQ|[ _]EQ)$")


class Instrument(msgspec.Struct, frozen=True):
    """One line of the exchange's list. `symbol` is the identity, `NSE:INFY`; the token may change."""

    symbol: str
    token: int
    name: str = ""
    tick_size: float = 0.05
    lot_size: int = 1
    segment: str = ""  # INDICES marks an index; empty: that of the exchange's own shares
    series: str = "EQ"
    is_fund: bool = False  # as the market itself says; `is_fund` also knows names and symbols
    has_futures: bool | None = None  # whether futures of it trade; None where the market does not say

    def __post_init__(self) -> None:
        if not self.segment:
            msgspec.structs.force_setattr(self, "segment", self.exchange)

    @property
    def exchange(self) -> str:
        return self.symbol.partition(":")[0]

    @property
    def trading_symbol(self) -> str:
        return self.symbol.partition(":")[2]

    @property
    def is_index(self) -> bool:
        return self.segment == "INDICES"


def share_class(instrument: Instrument) -> str:
    """The class by which the exchange's hours differ: whether futures trade; `UNKNOWN_SHARES` if unknown."""
    if instrument.has_futures is None:
        return UNKNOWN_SHARES
    return FUTURES_SHARES if instrument.has_futures else OTHER_SHARES


def is_underlying(trading_symbol: str, underlyings: frozenset[str]) -> bool | None:
    """Whether a share is among what futures stand for; None where no list says so.

    A share that moved to trade for trade keeps the name of its futures: `CENTRALBK-BE` is `CENTRALBK`.
    """
    return base_symbol(trading_symbol) in underlyings if underlyings else None


def is_storable(instrument: Instrument) -> bool:
    """Whether the symbol is a text that a database and a terminal take: printable, and not endless."""
    return len(instrument.symbol) <= MAX_SYMBOL_CHARACTERS and _UNPRINTABLE.search(instrument.symbol) is None


def with_printable_name(instrument: Instrument) -> Instrument:
    """The same with a name without control characters; it identifies nothing, so nothing is lost."""
    if _UNPRINTABLE.search(instrument.name) is None:
        return instrument
    return msgspec.structs.replace(instrument, name=_UNPRINTABLE.sub(" ", instrument.name).strip())


class StoredInstrument(msgspec.Struct, frozen=True):
    """An instrument with the key under which its history is kept, through renames and new tokens."""

    id: int
    instrument: Instrument
    listed: bool = True  # false once the exchange's list no longer names it
    first_seen: date | None = None
    last_seen: date | None = None
    sector: str | None = None  # as an index list states it
    previous_series: str | None = None  # before its last move between series
    series_since: date | None = None  # the day of the list that first named it in its series
    industry: str | None = None  # the finer business within the sector

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


class CompanySector(msgspec.Struct, frozen=True):
    """The business of a company as a list states it; the industry is finer, None where no list gives it."""

    sector: str
    industry: str | None = None


class SymbolMark(msgspec.Struct, frozen=True):
    """What a user keeps of a symbol; an empty `note` is none.

    `seen` is the session whose setup of the symbol the user has looked at last.
    """

    symbol: str
    starred: bool
    note: str = ""
    seen: date | None = None


class InstrumentChanges(msgspec.Struct, frozen=True):
    """What a day's list changed, by symbol."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # (old symbol, new symbol)
    token_changed: tuple[str, ...] = ()


class Quote(msgspec.Struct, frozen=True):
    """The current quote of one instrument; prices of the running or last session."""

    symbol: str
    token: int
    at: str  # the exchange's own timestamp text, its time zone
    last_price: float
    open: float
    high: float
    low: float
    previous_close: float
    volume: float  # shares so far this session; NaN where unknown
    upper_limit: float | None = None  # the highest price that the exchange accepts today
    shares_on_sale: float | None = None  # in the order book; 0 at the upper limit: nobody sells
    lower_limit: float | None = None  # the lowest price that the exchange accepts today

    @property
    def day_text(self) -> str:
        """The day of the last trade as `at` states it, such as `2025-06-30`; empty where it states none."""
        return self.at[:ISO_DATE_LENGTH]


def base_symbol(symbol: str) -> str:
    """The symbol without the suffix of a share's series: `NSE:CENTRALBK-BE` is `NSE:CENTRALBK`."""
    return _SERIES_SUFFIX.sub("", symbol)


def is_trade_for_trade(symbol: str) -> bool:
    """Whether the symbol's series settles trade for trade, on the main board or the SME platform."""
    return _TRADE_FOR_TRADE_SUFFIX.search(symbol) is not None


def plain_symbol(text: str) -> str:
    """`INFY` for `infy`, `INFY.NS` and `INFY-EQ`; an exchange stays, `INFY.BO` is `BSE:INFY`."""
    name = " ".join(text.split()).upper()
    exchange, colon, symbol = name.rpartition(":")
    if not colon and symbol.endswith(".BO"):
        return f"BSE:{symbol.removesuffix('.BO')}"
    symbol = VENDOR_INDEX_NAMES.get(symbol, _VENDOR_SUFFIX.sub("", symbol) or symbol)
    return f"{exchange}{colon}{symbol}"


def is_same_symbol(text: str, other: str) -> bool:
    """Whether two spellings mean one instrument: `infy` is `NSE:INFY`, but `BSE:INFY` is another."""
    one_exchange, _, one_name = plain_symbol(text).rpartition(":")
    other_exchange, _, other_name = plain_symbol(other).rpartition(":")
    exchanges = {one_exchange, other_exchange} - {""}
    return one_name == other_name and len(exchanges) <= 1


def quote_batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Symbols or instruments in groups that one request for quotes may name."""
    for start in range(0, len(items), MAX_QUOTES_PER_REQUEST):
        yield items[start : start + MAX_QUOTES_PER_REQUEST]


FUND_ISIN_PREFIX: Final = "INF"  # of units of mutual funds; shares begin with INE
_FUND_SYMBOL: Final = re.compile(r"(?:BEES|ETF)$|^(?:SBI|BB|LICN|GOLD|IT|BANK)ETF|^SETF")
_FUND_NAME: Final = re.compile(
    r"^\w*(?:AMC|AML|BFAM)\s*-|\bETF\b|\bBEES\b|\bMUTUAL FUND\b|\bINDEX FUND\b|\bFUND OF FUNDS?\b|"
    r"\bEXCHANGE TRADED\b",
    re.IGNORECASE,
)
# Funds of December 2025 whose symbols do not say so.
_KNOWN_FUNDS: Final = """
ABGSEC ABSLLIQUID ABSLNN50ET ABSLPSE ALPHA AONEGOLD AONELIQUID AONENIFTY AONETMMQ50 AONETOTAL AXISGOLD
AXISILVER AXISNIFTY AXISVALUE AXSENSEX BANKADD BANKNIFTY1 BANKPSU BBNPPGOLD BFSI BSLNIFTY BSLSENETFG
CHEMICAL CHOICEGOLD CONS CONSUMER EBANKNIFTY EBBETF0430 EBBETF0431 EBBETF0433 ECAPINSURE EGOLD ELIQUID
ELM250 EMULTIMQ ENERGY ENIFTY EQUAL200 EQUAL50 EQUAL50ADD ESENSEX ESG ESILVER EVINDIA FLEXIADD GOLD1
GOLD360 GOLDADD GOLDBND GOLDCASE GOLDSHARE GROWWCAPM GROWWDEFNC GROWWEV GROWWGOLD GROWWLIQID GROWWLOVOL
GROWWMC150 GROWWMOM50 GROWWN200 GROWWNET GROWWNIFTY GROWWNXT50 GROWWPOWER GROWWRAIL GROWWRLTY GROWWSC250
GROWWSLVR GSEC10YEAR HDFCBSE500 HDFCGOLD HDFCGROWTH HDFCLIQUID HDFCLOWVOL HDFCMID150 HDFCMOMENT
HDFCNEXT50 HDFCNIF100 HDFCNIFBAN HDFCNIFIT HDFCNIFTY HDFCPSUBK HDFCPVTBAN HDFCQUAL HDFCSENSEX HDFCSILVER
HDFCSML250 HDFCVALUE HEALTHADD HEALTHY ICICIB22 IDFNIFTYET INTERNET IT ITADD IVZINGOLD IVZINNIFTY
LICMFGOLD LICNFNHGP LICNMID100 LIQUID LIQUID1 LIQUIDADD LIQUIDCASE LIQUIDPLUS LIQUIDSBI LIQUIDSHRI LOWVOL
LOWVOL1 LTGILTCASE MAFANG MAHKTECH MAKEINDIA MASPTOP50 METAL MID150 MID150CASE MIDCAP MIDCAPADD MIDQ50ADD
MIDSMALL MNC MOALPHA50 MOCAPITAL MODEFENCE MOENERGY MOGOLD MOGSEC MOHEALTH MOINFRA MOIPO MOLOWVOL MOM100
MOM50 MOMENTUM MOMENTUM30 MOMENTUM50 MOMGF MOMIDMTM MOMNC MOMOMENTUM MON100 MON50EQUAL MONEXT50
MONIFTY100 MONIFTY500 MONQ50 MOPSE MOQUALITY MOREALTY MOSERVICE MOSILVER MOSMALL250 MOTOUR MOVALUE
MSCIADD MSCIINDIA MULTICAP NEXT30ADD NEXT50 NIFMID150 NIFTY1 NIFTY100EW NIFTYADD NIFTYCASE NIFTYQLITY
NPBET NV20 PSUBANK PSUBANKADD PVTBANKADD QGOLDHALF QNIFTY QUALITY30 SBIBPB SBISILVER SELECTIPO SENSEXADD
SILVER SILVER1 SILVER360 SILVERADD SILVERAG SILVERBND SILVERCASE SMALL250 SMALLADD SMALLCAP SML100CASE
TATAGOLD TATSILV TECH TOP100CASE TOP10ADD UNIONGOLD UTINEXT50 UTISXN50
"""
_KNOWN_FUND_SYMBOLS: Final = frozenset(_KNOWN_FUNDS.split())


def is_fund_isin(isin: str) -> bool:
    return isin.upper().startswith(FUND_ISIN_PREFIX)


def is_fund_symbol(symbol: str) -> bool:
    """Whether a symbol, with or without its exchange, is that of a fund."""
    name = symbol.rpartition(":")[2].upper()
    return bool(_FUND_SYMBOL.search(name)) or name in _KNOWN_FUND_SYMBOLS


def is_fund(instrument: Instrument) -> bool:
    """Whether the instrument is a fund by the market's list, its name or its symbol.

    A fund is no share, though the exchange lists exchange-traded funds in the series of shares: it has no
    base that buyers and sellers of a company made, and its rating says nothing.
    """
    if instrument.is_index:
        return False
    by_name = bool(_FUND_NAME.search(instrument.name))
    return instrument.is_fund or by_name or is_fund_symbol(instrument.symbol)
