"""A market and a setup made by hand for the drawing tests."""

from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np

from tests.analysis.risk_samples import from_closes, walk
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import BaseState, Contraction, EventKind, Gate, Setup, SetupEvent, Undercut

SVG = "{http://www.w3.org/2000/svg}"


def market(count: int = 400) -> Panel:
    """`NSE:BASE` rises and then falls and rises less and less; `NSE:WALK` walks; an index beside."""
    rise = np.linspace(50, 100, count - 120)
    close = np.concatenate([rise, _leg(100, 75, 40), _leg(75, 97, 20), _leg(97, 87, 20), _leg(87, 96, 20)])
    close = np.concatenate([close, _leg(96, 92, 10), _leg(92, 95, 10)])
    base = from_closes("NSE:BASE", close, np.linspace(9e5, 3e5, count))
    return build_panel([base, walk("NSE:WALK", count)], walk("INDEX", count, seed=9))


def setup(panel: Panel, **changes: Any) -> Setup:
    """The verdict that belongs to `NSE:BASE`."""
    row = panel.row_of("NSE:BASE")
    at = len(panel.sessions) - 120
    legs = [(at - 1, at + 39), (at + 59, at + 79), (at + 99, at + 109)]
    contractions = tuple(_contraction(panel, row, *leg) for leg in legs)
    verdict = Setup(
        symbol="NSE:BASE",
        as_of=panel.sessions[-1].item(),
        footprint="24W 25/4 3T",
        weeks=24,
        contractions=contractions,
        pivot=96.0,
        stop=91.2,
        state=BaseState.NEAR_PIVOT,
        score=78.4,
        components={},
        gates={"contractions": Gate(passed=True, value=3, threshold="2..6")},
        rs_rating=93,
        close=95.0,
        provisional=False,
        passed=True,
        buy_zone=(96.05, 100.8),
        risk_pct=5.0,
        undercuts=(
            Undercut(
                low_date=contractions[1].low_date,
                low=87,
                undercut_low=88,
                reclaimed_date=contractions[1].low_date,
            ),
        ),
        events=(SetupEvent(kind=EventKind.BREAKOUT, session=panel.sessions[-3].item(), price=96.5),),
    )
    return msgspec.structs.replace(verdict, **changes)


def elements(svg: str, group: str) -> list[ET.Element]:
    """All elements of the group with that id."""
    found = ET.fromstring(svg).find(f".//*[@id='{group}']")
    assert found is not None, group
    return list(found.iter())


def texts(svg: str) -> list[str]:
    return [text for element in ET.fromstring(svg).iter() for text in [element.text or ""] if text.strip()]


def _leg(start: float, end: float, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.linspace(start, end, count)


def _contraction(panel: Panel, row: int, top: int, bottom: int) -> Contraction:
    high, low = float(panel.high[row, top]), float(panel.low[row, bottom])
    return Contraction(
        high=high,
        high_date=panel.sessions[top].item(),
        low=low,
        low_date=panel.sessions[bottom].item(),
        depth_pct=100 * (high - low) / high,
    )
