"""The truth about planted bases, in the dates and prices that the served bars show."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np

from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.setups import Contraction
from vcpd.sandbox.book import SessionBook
from vcpd.sandbox.books import Books
from vcpd.sandbox.courses import BasePlan
from vcpd.sandbox.market import PlantedBase, PlantedBreakout
from vcpd.sandbox.session_tape import KNOTS_A_MINUTE
from vcpd.sandbox.standpoint import Standpoint
from vcpd.sandbox.tape import PAISE
from vcpd.sandbox.world import World

HIGH: Final = PRICE_FIELDS.index("high")
ONE_DAY: Final = timedelta(days=1)


def planted_bases(view: Standpoint) -> Iterator[PlantedBase]:
    """The bases whose last low has been printed, by name and age."""
    shown = view.world.offset + view.settled_columns
    for row, name in enumerate(view.world.names):
        plans = [plan for plan in name.bases if plan.highs[0] >= view.world.offset and plan.lows[-1] < shown]
        if plans:
            series = view.series(row)
            yield from (_told(plan, series, view) for plan in plans)


def _told(plan: BasePlan, series: BarSeries, view: Standpoint) -> PlantedBase:
    """A plan as the series shows it; leaders trade in every session, so numbers are positions."""
    offset, sessions = view.world.offset, view.world.sessions
    legs = tuple(
        _contraction(series, high - offset, low - offset)
        for high, low in zip(plan.highs, plan.lows, strict=True)
    )
    resolved = offset + view.settled_columns > plan.resolved
    return PlantedBase(
        symbol=series.symbol,
        anchor_date=legs[0].high_date,
        contractions=legs,
        pivot=legs[-1].high,
        formed_on=legs[-1].low_date,
        resolved_on=sessions[plan.resolved].item() if resolved else None,
        resolution=plan.resolution if resolved else None,
    )


def _contraction(series: BarSeries, high_at: int, low_at: int) -> Contraction:
    high, low = float(series.high[high_at]), float(series.low[low_at])
    return Contraction(
        high=high,
        high_date=series.sessions[high_at].item(),
        low=low,
        low_date=series.sessions[low_at].item(),
        depth_pct=100.0 * (high - low) / high,
    )


def planted_breakouts(world: World, books: Books, first: date, last: date) -> Iterator[PlantedBreakout]:
    """The breakouts in the sessions [first, last], session by session."""
    begin, end = (
        int(np.searchsorted(world.sessions, np.datetime64(day, "D"))) for day in (first, last + ONE_DAY)
    )
    due = sorted(
        (plan.resolved, row, plan.highs[-1])
        for row, name in enumerate(world.names)
        for plan in name.bases
        if plan.resolution == "breakout"
        and max(begin, world.offset) <= plan.resolved < end
        and plan.highs[0] >= world.offset
    )
    for resolved, row, pivot_at in due:
        pivot = float(world.tape.prices[HIGH, row, pivot_at - world.offset])
        book = books.of_rows(world, resolved - world.offset, np.array([row]))
        yield _broken_out(world.names[row].listing.symbol, world.sessions[resolved].item(), pivot, book)


def _broken_out(symbol: str, session: date, pivot: float, book: SessionBook) -> PlantedBreakout:
    """When the one name of the book first trades above its pivot, in paise."""
    second, price = _crossing(book, pivot)
    evening = book.tape.at(book.tape.minutes)
    return PlantedBreakout(
        symbol=symbol,
        token=int(book.tokens[0]),
        session=session,
        pivot=pivot / PAISE,
        crossed_at=book.hours.opens + timedelta(seconds=second),
        price=price / PAISE,
        high=float(evening.high[0]) / PAISE,
        close=float(evening.close[0]) / PAISE,
        volume=int(evening.volume[0]),
    )


def _crossing(book: SessionBook, pivot: float) -> tuple[int, float]:
    """The first whole second at which the last price stands above `pivot`, and that price."""
    above = int(np.argmax(book.tape.price[0] > pivot))
    seconds_a_knot = 60 // KNOTS_A_MINUTE
    for second in range(max(0, above - 1) * seconds_a_knot, above * seconds_a_knot):
        price = float(book.tape.at(round(second / 60, 9)).close[0])
        if price > pivot:
            return second, price
    return above * seconds_a_knot, float(book.tape.price[0, above])
