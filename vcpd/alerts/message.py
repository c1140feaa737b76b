"""Message: alerts rendered for one channel."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.templates import DigestTemplate, Templates, Variables, render, single_line
from vcpd.domain.alerts import Alert

TRUNCATION_NOTE: Final = "... and {} more lines"
PROVISIONAL_NOTE: Final = "provisional: the close decides"


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to one channel. The same alerts on the same channel always have the same `key`."""

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
    """One alert in its own words, or several as a digest of their titles."""
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
    """The text's first lines in at most `most` bytes of UTF-8; a cut is said."""
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
