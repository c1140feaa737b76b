"""What a client may ask: query parameters judged before a market sees them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from vcpd.sandbox.envelope import Refusal

LONGEST_SPAN_DAYS: Final = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}
EXCHANGES: Final = frozenset({"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "MF"})
FULL_QUOTES: Final = 500
SHORT_QUOTES: Final = 1000


class CandleQuestion(NamedTuple):
    """A request for candles that start in [first, last], naive wall time; `step_minutes` is None for days."""

    token: int
    step_minutes: int | None
    first: datetime
    last: datetime
    open_interest: bool


def candle_question(token: str, interval: str, query: Mapping[str, str]) -> CandleQuestion:
    """Raises Refusal with an InputException on anything the vendor would not take."""
    if interval not in LONGEST_SPAN_DAYS:
        raise Refusal("InputException", "invalid interval")
    if not token.isdigit():
        raise Refusal("InputException", "invalid token")
    first, last = _instant(query, "from"), _instant(query, "to")
    if first > last:
        raise Refusal("InputException", "from date cannot be after to date")
    if (last - first).days > LONGEST_SPAN_DAYS[interval]:
        raise Refusal("InputException", f"interval exceeds max limit: {LONGEST_SPAN_DAYS[interval]} days")
    if _switch(query, "continuous"):
        raise Refusal("InputException", "continuous data is for futures, not for equities")
    step = None if interval == "day" else int(interval.removesuffix("minute") or 1)
    return CandleQuestion(int(token), step, first, last, _switch(query, "oi"))


def day_span(query: Mapping[str, str], today: date) -> tuple[date, date]:
    """The days `from` and `to` of a query, each today if not given."""
    days = [query.get(name, today.isoformat()) for name in ("from", "to")]
    try:
        first, last = (date.fromisoformat(day) for day in days)
    except ValueError:
        raise Refusal("InputException", "invalid from or to date") from None
    return first, last


def quote_question(symbols: Sequence[str], limit: int) -> Sequence[str]:
    """The symbols asked for, EXCHANGE:NAME each, at most `limit`."""
    if not symbols:
        raise Refusal("InputException", "Missing or empty field `i`")
    if len(symbols) > limit:
        raise Refusal("InputException", f"expected at most {limit} instruments, was {len(symbols)}")
    return symbols


def exchange_question(exchange: str) -> str:
    if exchange not in EXCHANGES:
        raise Refusal("InputException", "invalid exchange")
    return exchange


def form_field(form: Mapping[str, object], name: str) -> str:
    """A field of a form or query that must be there."""
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal("InputException", f"Missing or empty field `{name}`")
    return value


def _instant(query: Mapping[str, str], name: str) -> datetime:
    """`yyyy-mm-dd HH:MM:SS` or `yyyy-mm-dd`, wall time of the exchange."""
    text = query.get(name, "")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the exchange's wall time
        except ValueError:
            continue
    raise Refusal("InputException", f"invalid {name} date")


def _switch(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "0")
    if value not in ("0", "1"):
        raise Refusal("InputException", f"invalid value for `{name}`: expected 0 or 1")
    return value == "1"
