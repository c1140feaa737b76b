"""Facts from quotes: the bands of a session's shares, kept while quotes are fetched for bars."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from tests.fakes.collection import context
from tests.jobs.sample_market import NEXT_EVENING, NEXT_SESSION, SampleMarket
from tests.jobs.test_collect import SYMBOLS, settled_sample
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.facts import SymbolFacts
from vcpd.domain.instruments import Instrument, Quote, StoredInstrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.jobs.collect import Collect
from vcpd.jobs.facts import FactsSync, QuotedFacts, QuotedFactsSource

SESSION = date(2026, 11, 20)


def share(symbol: str, *, has_futures: bool = False) -> StoredInstrument:
    return StoredInstrument(1, Instrument(symbol, 1, has_futures=has_futures))


def quote(symbol: str, lower: float | None, day: date = SESSION) -> Quote:
    return Quote(symbol, 1, f"{day} 15:29:00", 101, 100, 102, 99, 100, 5, 105.0, 7.0, lower)


def test_the_bands_of_a_sessions_quotes_become_its_facts() -> None:
    facts = QuotedFacts(NSE_EXCHANGE.price_bands)
    shares = [
        share("NSE:A"),
        share("NSE:B", has_futures=True),
        share("NSE:C"),
        share("NSE:D"),
        share("NSE:E"),
    ]
    quotes = {
        "NSE:A": quote("NSE:A", 95.0),
        "NSE:B": quote("NSE:B", 95.0),
        "NSE:C": quote("NSE:C", 97.0),  # no band of the exchange
        "NSE:D": quote("NSE:D", 95.0, date(2026, 11, 19)),  # not traded in this session
    }
    facts.take(shares, quotes, SESSION)
    assert facts.known(SESSION) == [SymbolFacts(symbol="NSE:A", price_band_pct=5.0)]
    assert facts.known(date(2026, 11, 19)) == []


class KeptFacts:
    """`FactsStore` in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, SymbolFacts] = {}

    async def put(
        self, session: date, facts: Sequence[SymbolFacts], results_in_sessions: Mapping[str, int]
    ) -> int:
        self.kept.update((fact.symbol, fact) for fact in facts)
        return len(facts)


def collecting(sample: SampleMarket, store: KeptFacts) -> Collect:
    quoted = QuotedFacts(NSE_EXCHANGE.price_bands)
    universe, finality = sample.quotes.panels.universe, sample.quotes.finality
    source = QuotedFactsSource(quoted, sample.market, universe, finality, sample.clock)
    return replace(
        sample.collect(),
        quotes=replace(sample.quotes, facts=quoted),
        facts=FactsSync(source, store, NSE),
    )


async def quoted_sample() -> SampleMarket:
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.limits = (95.0, 105.0)
    return sample


async def test_a_collection_keeps_the_bands_of_its_quotes_without_a_further_request() -> None:
    sample, store = await quoted_sample(), KeptFacts()
    result = await collecting(sample, store)(context(NEXT_SESSION))
    assert (result.outcome, result.counts["facts"]) == (Outcome.DONE, len(SYMBOLS))
    assert {fact.price_band_pct for fact in store.kept.values()} == {5.0}
    assert set(store.kept) == set(SYMBOLS)  # not the index
    assert len(sample.market.quote_requests) == 1


async def test_after_a_restart_the_bands_are_those_of_an_undisturbed_evening() -> None:
    sample, store = await quoted_sample(), KeptFacts()
    await collecting(sample, KeptFacts())(context(NEXT_SESSION))
    result = await collecting(sample, store)(context(NEXT_SESSION))  # all bars are there already
    assert (result.outcome, set(store.kept)) == (Outcome.DONE, set(SYMBOLS))
    assert len(sample.market.quote_requests) == 2


async def test_quotes_of_another_session_are_not_requested_for_bands() -> None:
    sample, store = await settled_sample(), KeptFacts()
    sample.market.limits = (95.0, 105.0)
    sample.clock.at = NEXT_EVENING
    before = len(sample.market.quote_requests)
    collect = collecting(sample, store)
    assert collect.facts is not None
    assert await collect.facts(NEXT_SESSION - timedelta(7)) == (0, "")
    assert (len(sample.market.quote_requests), store.kept) == (before, {})


def test_later_quotes_add_to_what_is_known_and_old_sessions_are_forgotten() -> None:
    facts = QuotedFacts(NSE_EXCHANGE.price_bands)
    days = [date(2026, 11, day) for day in (18, 19, 20)]
    for day in days:
        for symbol in ("NSE:A", "NSE:B"):
            facts.take([share(symbol)], {symbol: quote(symbol, 95.0, day)}, day)
            facts.take([share(symbol)], {symbol: quote(symbol, None, day)}, day)
    assert [len(facts.known(day)) for day in days] == [0, 2, 2]
