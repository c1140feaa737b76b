"""Price bands from the limits of a quote: every band of the exchange is recovered, none is invented."""

import json
from math import ceil, floor, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.real_data import real_data
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.facts import PriceBands, narrow_band_text
from vcpd.domain.instruments import Instrument, Quote
from vcpd.kite.wire import decode_quotes

BANDS = NSE_EXCHANGE.price_bands
LOWEST_CLEAR_PRICE = 10.0  # below, a tick is as large as the difference between two bands


def limits(reference: float, width_pct: float, tick: float) -> tuple[float, float]:
    """The limits around a reference price, rounded inwards to whole ticks as the exchange rounds them."""
    low, high = reference * (1 - width_pct / 100), reference * (1 + width_pct / 100)
    return round(ceil(low / tick - 1e-9) * tick, 2), round(floor(high / tick + 1e-9) * tick, 2)


def quote(lower: float | None, upper: float | None) -> Quote:
    return Quote("NSE:A", 1, "2026-11-20 12:00:00", 100, 100, 100, 100, 100, 5, upper, lower_limit=lower)


@given(
    reference=st.floats(LOWEST_CLEAR_PRICE, 200_000.0),
    width_pct=st.sampled_from(BANDS.widths_pct),
    tick=st.sampled_from([0.01, 0.05]),
)
def test_limits_give_the_band_that_made_them(reference: float, width_pct: float, tick: float) -> None:
    assert BANDS.of_limits(*limits(reference, width_pct, tick), tick) == width_pct


@given(
    reference=st.floats(0.5, LOWEST_CLEAR_PRICE),
    width_pct=st.sampled_from(BANDS.widths_pct),
)
def test_limits_of_a_cheap_share_give_its_band_or_none(reference: float, width_pct: float) -> None:
    assert BANDS.of_limits(*limits(reference, width_pct, 0.05), 0.05) in (width_pct, None)


@given(
    reference=st.floats(1_000.0, 200_000.0),
    width_pct=st.floats(0.5, 40.0).filter(
        lambda width: min(abs(width - band) for band in (2, 5, 10, 20)) > 0.1
    ),
)
def test_limits_that_fit_no_band_give_none(reference: float, width_pct: float) -> None:
    assert BANDS.of_limits(*limits(reference, width_pct, 0.05), 0.05) is None


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (None, 105.0),
        (95.0, None),
        (0.0, 105.0),
        (105.0, 95.0),
        (95.0, 95.0),
        (nan, 105.0),
        (95.0, inf),
        (-5.0, 5.0),
    ],
)
def test_limits_that_are_missing_or_senseless_give_none(lower: float | None, upper: float | None) -> None:
    assert BANDS.of_limits(lower, upper, 0.05) is None


@pytest.mark.parametrize(
    ("width_pct", "has_futures", "found"),
    [
        (5.0, False, 5.0),
        (20.0, False, 20.0),
        (10.0, True, None),  # moved on during the session when it is reached
        (5.0, True, None),
        (5.0, None, 5.0),
        (10.0, None, None),  # perhaps the first limits of a share with futures
        (20.0, None, None),
    ],
)
def test_a_share_with_futures_has_no_fixed_band(
    width_pct: float, has_futures: bool | None, found: float | None
) -> None:
    share = Instrument("NSE:A", 1, has_futures=has_futures)
    assert BANDS.of_quote(quote(*limits(100.0, width_pct, 0.05)), share) == found
    index = Instrument("NSE:A", 1, segment="INDICES", has_futures=False)
    assert BANDS.of_quote(quote(95.0, 105.0), index) is None


def test_an_exchange_without_widths_knows_no_band() -> None:
    assert PriceBands().of_quote(quote(95.0, 105.0), Instrument("NSE:A", 1, has_futures=False)) is None


def test_only_a_narrow_band_is_worth_a_word() -> None:
    assert [narrow_band_text(width) for width in (None, 2.0, 5.0, 10.0)] == [
        "",
        "price band 2 %",
        "price band 5 %",
        "",
    ]


def test_a_real_quote_states_the_limits_of_ten_percent() -> None:
    body = real_data("kite_mocks/quote.json").read_bytes()
    found = decode_quotes(body)["NSE:INFY"]
    stated = json.loads(body)["data"]["NSE:INFY"]
    assert found.lower_limit == stated["lower_circuit_limit"]
    assert BANDS.of_limits(found.lower_limit, found.upper_limit, 0.05) == 10.0
