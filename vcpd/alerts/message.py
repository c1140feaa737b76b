"""A message: alerts in words, as a channel sends them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.facts import Facts
from vcpd.alerts.templates import DigestTemplate, Templates
from vcpd.alerts.texts import filled, one_line
from vcpd.domain.alerts import Alert

CUT: Final = "... and {} more lines"
SEEN_LIVE: Final = "provisional: the close decides"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to one channel. The same alerts on the same channel always have the same `key`."""

    key: str  # 32 hexadecimal digits
    at: datetime
    title: str  # one line
    body: str
    urgent: bool = False
    alerts: tuple[Alert, ...] = ()
    picture: bytes | None = None  # PNG

    @property
    def text(self) -> str:
        return f"{self.title}\n{self.body}" if self.body else self.title


def compose(alerts: Sequence[Alert], channel: str, templates: Templates, zone: ZoneInfo) -> Message:
    """One alert in its own words, or several as a digest of their titles."""
    if len(alerts) == 1:
        title, body = _words(alerts[0], channel, templates, zone)
    else:
        title = f"{len(alerts)} alerts"
        body = "\n".join(_words(alert, channel, templates, zone)[0] for alert in alerts)
    return Message(
        key=key_of(channel, alerts),
        at=alerts[-1].at,
        title=title,
        body=body,
        urgent=any(alert.urgent for alert in alerts),
        alerts=tuple(alerts),
    )


def key_of(channel: str, alerts: Sequence[Alert]) -> str:
    named = "\n".join([channel, *(alert.key for alert in alerts)])
    return hashlib.blake2b(named.encode(), digest_size=16).hexdigest()


def fitted(text: str, most: int) -> str:
    """The text's first lines in at most `most` bytes of UTF-8; a cut is said."""
    if len(text.encode()) <= most:
        return text
    lines = text.splitlines()
    for kept in range(len(lines) - 1, 0, -1):
        shortened = "\n".join([*lines[:kept], CUT.format(len(lines) - kept)])
        if len(shortened.encode()) <= most:
            return shortened
    return lines[0].encode()[: most - 3].decode(errors="ignore") + "..."


def _words(alert: Alert, channel: str, templates: Templates, zone: ZoneInfo) -> tuple[str, str]:
    template, facts = templates.of(alert.kind), facts_of(alert, channel, zone)
    rows = []
    if isinstance(template, DigestTemplate):
        rows = [filled(template.item, _with_name(item)) for item in alert.items]
    body = "\n".join(part for part in (filled(template.body, facts), *rows) if part)
    return one_line(filled(template.title, facts)) or alert.kind.value, body


def facts_of(alert: Alert, channel: str, zone: ZoneInfo) -> Facts:
    """The alert's own facts and those that all have in common."""
    session = None if alert.session is None else alert.session.isoformat()
    common = {
        "kind": alert.kind.value,
        "symbol": alert.symbol,
        "session": session,
        "at": alert.at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M"),
        "provisional": SEEN_LIVE if alert.provisional else None,
        "channel": channel,
    }
    return _with_name({**common, **alert.facts})


def _with_name(facts: Facts) -> Facts:
    symbol = facts.get("symbol")
    name = symbol.rpartition(":")[2] if isinstance(symbol, str) else None
    return {"name": name, **facts}
