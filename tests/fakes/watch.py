"""What the live watch writes to, in memory: its store and the notifier."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from vcpd.core.errors import VcpdError
from vcpd.domain.alerts import Alert, TemplateValue
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import LiveEvent, StoredVolumeCurve


@dataclass
class FakeWatchStore:
    """Keeps what it is given; `troubles` are raised first, one a call of `add`."""

    listed: Mapping[str, Instrument] = field(default_factory=dict)
    kept: list[LiveEvent] = field(default_factory=list)
    problems: list[VcpdError] = field(default_factory=list)
    stored_curves: list[StoredVolumeCurve] = field(default_factory=list)
    number: int = 0

    async def version(self) -> str:
        return str(self.number)

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        return {symbol: self.listed[symbol] for symbol in symbols if symbol in self.listed}

    async def add(self, live_events: Sequence[LiveEvent]) -> int:
        if self.problems:
            raise self.problems.pop(0)
        before = len(self.kept)
        for event in live_events:
            if all(_key(event) != _key(kept) for kept in self.kept):
                self.kept.append(event)
        return len(self.kept) - before

    async def events_of(self, session: date) -> Sequence[LiveEvent]:
        return [event for event in self.kept if event.session == session]

    async def curves(self) -> Sequence[StoredVolumeCurve]:
        return list(self.stored_curves)

    async def put_curve(self, curve: StoredVolumeCurve) -> None:
        self.stored_curves = [entry for entry in self.stored_curves if entry.symbol != curve.symbol] + [curve]


@dataclass
class FakeSetupFacts:
    """What is known beside an event of NSE:AAA; `error` is raised instead while it is set."""

    error: Exception | None = None
    asked: list[tuple[date, set[str]]] = field(default_factory=list)

    async def of_symbols(
        self, session: date, symbols: Collection[str]
    ) -> Mapping[str, Mapping[str, TemplateValue]]:
        self.asked.append((session, set(symbols)))
        if self.error is not None:
            raise self.error
        return {
            "NSE:AAA": {
                "sector_ranks": "Metals, rank 2 of 9, leading",
                "market": "correction",
                "price": 1.0,
            }
        }


@dataclass
class FakeNotifier:
    """Publishes a key once, like the real one."""

    published: dict[str, Alert] = field(default_factory=dict)

    async def publish(self, alerts: Sequence[Alert]) -> int:
        before = len(self.published)
        for alert in alerts:
            self.published.setdefault(alert.key, alert)
        return len(self.published) - before

    @property
    def kinds(self) -> list[str]:
        return [alert.kind.value for alert in self.published.values()]


def _key(event: LiveEvent) -> tuple[object, ...]:
    return event.symbol, event.anchor_date, event.kind, event.session
