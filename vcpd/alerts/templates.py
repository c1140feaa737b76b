"""Templates of alert messages, the variables they may name, and alerts rendered as messages."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from string import Formatter
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.domain.alerts import Alert, AlertKind, TemplateValue

Variables = Mapping[str, TemplateValue]
COMMON_VARIABLES: Final[Variables] = {
    "kind": "breakout",
    "symbol": "NSE:INFY",
    "name": "INFY",  # the symbol without its exchange
    "session": "2026-04-08",
    "at": "Wed 2026-04-08 16:05",  # exchange-local time
    "provisional": "provisional: the close decides",  # nothing where it is final
}
SYMBOL_VARIABLES: Final[Variables] = {
    "shares": 120,  # for the account that [size] names
    "sector": "Information Technology",
    "sector_ranks": "Information Technology, rank 3 of 21, leading; IT Services, rank 5 of 90",
    "market": "confirmed uptrend since 2026-03-02",
    "results": "results in 3 sessions, on 2026-04-13",
    "marks": "trade for trade, ASM stage 2",
    "context": "120 shares for the account; Information Technology; results in 3 sessions, on 2026-04-13",
    "url": "http://127.0.0.1:8787/#/setups/NSE%3AINFY",
}
SETUP_VARIABLES: Final[Variables] = {
    "footprint": "10W 22/5 3T",
    "weeks": 10,
    "pivot": 1520.0,
    "stop": 1440.0,
    "buy_to": 1596.0,  # where the buy zone ends
    "risk_pct": 5.3,
    "rating": 88,
    "score": 74.0,
    "close": 1498.0,
    "price": 1523.0,  # at which it happened
    "state": "near pivot",
    "detail": "volume 1.8 x its average",
    "volume_ratio": 1.8,
    "anchor": "2026-01-12",  # where the base begins
    "note": "prices of the evening, not final yet",
    "to_pivot_pct": 1.5,  # from the close; negative above the pivot
    **SYMBOL_VARIABLES,
}
LOGIN_VARIABLES: Final[Variables] = {
    "reason": "the token is of yesterday",
    "url": "http://127.0.0.1:8787/login",
}
RUN_VARIABLES: Final[Variables] = {"job": "collect", "reason": "INFY: no answer"}
VARIABLES_BY_KIND: Final[Mapping[AlertKind, Variables]] = {
    AlertKind.SETUPS: {
        "headline": "3 new setups",
        "count": 3,
        "record_head": "9f2c" * 16,  # the newest hash of the record of reported setups
    },
    AlertKind.NEAR_PIVOT: SETUP_VARIABLES,
    AlertKind.BREAKOUT: SETUP_VARIABLES,
    AlertKind.BREAKOUT_UNCONFIRMED: SETUP_VARIABLES,
    AlertKind.SQUAT: SETUP_VARIABLES,
    AlertKind.RECLAIMED: SETUP_VARIABLES,
    AlertKind.FAILED: SETUP_VARIABLES,
    AlertKind.LOGIN_DUE: LOGIN_VARIABLES,
    AlertKind.LOGIN_OVERDUE: {**LOGIN_VARIABLES, "waiting": "collect of 2026-04-08"},
    AlertKind.COLLECTION_INCOMPLETE: {**RUN_VARIABLES, "failed": 3, "headline": "3 symbols are missing"},
    AlertKind.HEALTH: {"score": 55, "mark": 60, "level": "poor", "reasons": "login: it is due"},
    AlertKind.DATA_STALE: {"age": 2, "last": "2026-04-06"},
    AlertKind.CALENDAR: {"reason": "no symbol has a bar of 2026-04-08"},
    AlertKind.EVENING_MISSING: {"last": "2026-04-08"},
    AlertKind.RESTATEMENT: {**RUN_VARIABLES, "restated": 2, "headline": "2 histories restated"},
    AlertKind.SESSION_COMPLETE: {"setups": 12},
    AlertKind.SCAN: {
        "scan": "trend_template",
        "headline": "3 entered, 1 left, 41 match",
        "entered": "INFY, TCS",
        "left": "WIPRO",
        "expression": "close > sma(50)",
    },
    AlertKind.SELL_RULE: {
        "rule": "trailing average",
        "detail": "close 95.00 under the 50-session average 96.10",
        "sell": 50,
        "quantity": 100,
        "opened": "2026-02-03",
        "close": 95.0,
        "entry": 80.0,
        "result_r": 3.0,
    },
    AlertKind.PRICE_LEVEL: {
        "level": "above 1,500.00",
        "price": 1504.0,
        "value": 1500.0,
        "lists": "banks, starred",
        "note": "above the base",
        **SYMBOL_VARIABLES,
    },
    AlertKind.TEST: {"channel": "telegram"},
}
MISSING_VALUE_TEXT: Final = "-"
VARIABLE_NAME: Final = re.compile(r"[a-z_]+")
ALLOWED_FORMAT: Final = re.compile(r"[<>^]?\+?\d{0,2},?(\.\d{1,2})?[dfgs%]?")
SYMBOL_LINES: Final = (
    "{shares:,d} shares for the account\nsector {sector_ranks}\nmarket {market}\n{results}\n{marks}\n"
)
EVENT_BODY: Final = (
    "{detail}\n"
    "price {price:.2f}, pivot {pivot:.2f}, stop {stop:.2f}\n"
    "to the pivot {to_pivot_pct:+.1f} %\n"
    "risk {risk_pct:.1f} %\n"
    f"{SYMBOL_LINES}"
    "{footprint}\n"
    "RS {rating}, score {score:.0f}\n"
    "{note}\n"
    "{provisional}\n"
    "{url}"
)
Title = Annotated[str, msgspec.Meta(max_length=200, description="one line; empty: the default text")]
Body = Annotated[str, msgspec.Meta(max_length=2000, description="message text; empty: the default text")]
Item = Annotated[str, msgspec.Meta(max_length=500, description="one line per setup; empty: the default text")]


def variables_of(kind: AlertKind) -> Variables:
    """Every fact that a text about this kind may name."""
    return {**COMMON_VARIABLES, **VARIABLES_BY_KIND[kind]}


def item_variables() -> Variables:
    """Every fact that a row of a digest may name."""
    return {"symbol": COMMON_VARIABLES["symbol"], "name": COMMON_VARIABLES["name"], **SETUP_VARIABLES}


def template_problems(text: str, known: Variables) -> Iterator[str]:
    """Why a text cannot be filled in: broken braces, an unknown fact, a format that does not fit it."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        yield f"cannot be read ({error}); a brace itself is written twice"
        return
    for _, name, spec, conversion in parts:
        if name is not None:
            yield from _variable_problems(name, spec or "", conversion, known)


def _variable_problems(name: str, spec: str, conversion: str | None, known: Variables) -> Iterator[str]:
    if not VARIABLE_NAME.fullmatch(name) or name not in known:
        yield f"there is no fact `{name}`; known are {', '.join(sorted(known))}"
        return
    if conversion is None and ALLOWED_FORMAT.fullmatch(spec):
        try:
            format(known[name], spec)
        except ValueError:
            pass
        else:
            return
    written = f"{f'!{conversion}' if conversion else ''}:{spec}"
    yield f"`{name}` cannot be written as `{written}`; a format is such as `:.2f`, `:,.0f` or `:>8`"


def render(text: str, facts: Variables) -> str:
    """The text with its facts; a line that names only unknown ones is left out."""
    lines = [_render_line(line, facts) for line in text.splitlines()]
    return "\n".join(line for line in lines if line is not None)


def single_line(text: str) -> str:
    """The same without line ends and other control characters: for titles and headers."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _render_line(line: str, facts: Variables) -> str | None:
    parts = list(Formatter().parse(line))
    named = [name for _, name, _, _ in parts if name is not None]
    if named and all(facts.get(name) in (None, "") for name in named):
        return None
    return "".join(
        before + ("" if name is None else format_value(facts.get(name), spec or ""))
        for before, name, spec, _ in parts
    )


def format_value(value: TemplateValue, spec: str) -> str:
    """Format one fact; an unknown one is a dash, one of another type is written as text."""
    if value is None:
        return MISSING_VALUE_TEXT
    if not spec and isinstance(value, float):
        spec = ".2f"
    try:
        return format(value, spec)
    except ValueError:
        return str(value)


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates of one kind of alert. docs/alerts.md lists the variables."""

    title: Title = ""
    body: Body = ""


class DigestTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates of the evening's digest: `item` is repeated for each new setup."""

    title: Title = ""
    body: Body = ""
    item: Item = ""


SETUP_ITEM: Final = (
    "{name}  {footprint}: pivot {pivot:.2f}, stop {stop:.2f}, risk {risk_pct:.1f} %, "
    "RS {rating}, score {score:.0f}, {state}\n"
    "    {context}"
)


def _event_template(title: str) -> Template:
    return Template(title=title, body=EVENT_BODY)


class Templates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates of the alerts, one table per kind; `{name}` and `{name:.2f}` are variables."""

    setups: DigestTemplate = DigestTemplate(
        title="{headline} after {session}",
        body="record {record_head}\nscore: a description, no probability; the nearest to its pivot first",
        item=SETUP_ITEM,
    )
    near_pivot: Template = _event_template("{name} nears its pivot {pivot:.2f}")
    breakout: Template = _event_template("{name} breaks out over {pivot:.2f}")
    breakout_unconfirmed: Template = _event_template(
        "{name} is over its pivot {pivot:.2f}, without the volume"
    )
    squat: Template = _event_template("{name} falls back under its pivot {pivot:.2f}")
    reclaimed: Template = _event_template("{name} is back above its pivot {pivot:.2f}")
    failed: Template = _event_template("{name}: the base has failed")
    login_due: Template = Template(title="Log in to the market", body="{reason}\n{url}")
    login_overdue: Template = Template(title="Login overdue: {waiting} waits for it", body="{reason}\n{url}")
    collection_incomplete: Template = Template(
        title="Bars of {session} incomplete: {headline}", body="{reason}"
    )
    health: Template = Template(title="Health {score} of 100, {level}", body="{reasons}")
    data_stale: Template = Template(
        title="The newest bars are of {last}", body="{age} trading sessions have ended since"
    )
    calendar: Template = Template(title="{session} differs from the calendar", body="{reason}")
    evening_missing: Template = Template(
        title="The session of {last} was not screened",
        body="its bars are stored; start it with `vcpd jobs run screen --session {last}`",
    )
    restatement: Template = Template(title="{headline}", body="{reason}")
    good_night: Template = Template(title="{session} is collected, screened and scored")
    scan: Template = Template(
        title="Scan {scan} after {session}: {headline}",
        body="entered: {entered}\nleft: {left}\n{expression}",
    )
    sell_rule: Template = Template(
        title="{name}: {rule}, sell {sell} of {quantity}",
        body="{detail}\nbought {opened} at {entry:.2f}, close {close:.2f}, {result_r:+.2f} R\n{provisional}",
    )
    price_level: Template = Template(
        title="{name} {level}",
        body="price {price:.2f}, level {value:.2f}\n{note}\nlists {lists}\n"
        f"{SYMBOL_LINES}{{provisional}}\n{{url}}",
    )
    test: Template = Template(title="vcpd: a test", body="{channel} works. Sent {at}.")

    def __post_init__(self) -> None:
        """Raises ValueError with every text that cannot be filled in."""
        if problems := [problem for kind in AlertKind for problem in self._problems(kind)]:
            raise ValueError("; ".join(problems))

    def of(self, kind: AlertKind) -> Template | DigestTemplate:
        """The templates of a kind: those of the configuration, else the built-in ones."""
        given: Template | DigestTemplate = getattr(self, kind.value)
        ours = getattr(DEFAULT_TEMPLATES, kind.value)
        missing = {name: getattr(ours, name) for name in given.__struct_fields__ if not getattr(given, name)}
        return msgspec.structs.replace(given, **missing)

    def _problems(self, kind: AlertKind) -> Iterator[str]:
        template = getattr(self, kind.value)
        for field in template.__struct_fields__:
            known = item_variables() if field == "item" else variables_of(kind)
            for problem in template_problems(getattr(template, field), known):
                yield f"{kind}.{field}: {problem}"


DEFAULT_TEMPLATES: Final = Templates()


TRUNCATION_NOTE: Final = "... and {} more lines"
PROVISIONAL_NOTE: Final = "provisional: the close decides"


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to one channel. The same alerts on the same channel always have the same `key`."""

    key: str  # 32 hexadecimal digits
    at: datetime
    title: str  # one line
    body: str
    urgent: bool = False
    alerts: tuple[Alert, ...] = ()
    image: bytes | None = None  # PNG

    @property
    def text(self) -> str:
        return f"{self.title}\n{self.body}" if self.body else self.title


def compose(alerts: Sequence[Alert], channel: str, templates: Templates, zone: ZoneInfo) -> AlertMessage:
    """Compose one alert by its own template, or several as a digest of their titles."""
    if len(alerts) == 1:
        title, body = _title_and_body(alerts[0], channel, templates, zone)
    else:
        title = f"{len(alerts)} alerts"
        body = "\n".join(_title_and_body(alert, channel, templates, zone)[0] for alert in alerts)
    return AlertMessage(
        key=idempotency_key(channel, alerts),
        at=alerts[-1].at,
        title=title,
        body=body,
        urgent=any(alert.urgent for alert in alerts),
        alerts=tuple(alerts),
    )


def idempotency_key(channel: str, alerts: Sequence[Alert]) -> str:
    named = "\n".join([channel, *(alert.key for alert in alerts)])
    return hashlib.blake2b(named.encode(), digest_size=16).hexdigest()


def truncate(text: str, most: int) -> str:
    """The text's first lines in at most `most` bytes of UTF-8; a note says where lines were cut."""
    if len(text.encode()) <= most:
        return text
    lines = text.splitlines()
    for kept in range(len(lines) - 1, 0, -1):
        shortened = "\n".join([*lines[:kept], TRUNCATION_NOTE.format(len(lines) - kept)])
        if len(shortened.encode()) <= most:
            return shortened
    return lines[0].encode()[: most - 3].decode(errors="ignore") + "..."


def _title_and_body(alert: Alert, channel: str, templates: Templates, zone: ZoneInfo) -> tuple[str, str]:
    template, facts = templates.of(alert.kind), template_variables(alert, channel, zone)
    rows = []
    if isinstance(template, DigestTemplate):
        rows = [render(template.item, _with_short_name(item)) for item in alert.items]
    body = "\n".join(part for part in (render(template.body, facts), *rows) if part)
    return single_line(render(template.title, facts)) or alert.kind.value, body


def template_variables(alert: Alert, channel: str, zone: ZoneInfo) -> Variables:
    """The alert's own facts and those that all have in common."""
    session = None if alert.session is None else alert.session.isoformat()
    common = {
        "kind": alert.kind.value,
        "symbol": alert.symbol,
        "session": session,
        "at": alert.at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M"),
        "provisional": PROVISIONAL_NOTE if alert.provisional else None,
        "channel": channel,
    }
    return _with_short_name({**common, **alert.facts})


def _with_short_name(facts: Variables) -> Variables:
    symbol = facts.get("symbol")
    name = symbol.rpartition(":")[2] if isinstance(symbol, str) else None
    return {"name": name, **facts}
