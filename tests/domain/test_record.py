"""The record of reported setups: any change to it shows, and a head covers everything before it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.record import (
    FIRST_HASH,
    BarsDigest,
    RecordEntry,
    ReportedSetup,
    canonical_json,
    check_chain,
    entry_hash,
    settings_version,
)
from vcpd.domain.setups import BaseState, Gate

DAY = date(2024, 3, 4)
BARS = BarsDigest(first=date(2023, 1, 2), last=DAY, count=290, sha256="ab" * 32)


def reported(symbol: str = "NSE:AAA", *, pivot: float = 118.35) -> ReportedSetup:
    return ReportedSetup(
        session=DAY,
        symbol=symbol,
        anchor_date=date(2023, 10, 2),
        footprint="20W 25/8 3T",
        pivot=pivot,
        stop=110.0,
        structural_stop=109.55,
        buy_zone=(pivot, pivot * 1.05),
        risk_pct=7.1,
        state=BaseState.NEAR_PIVOT,
        score=61.25,
        rs_rating=88,
        close=117.05,
        gates={"volume": Gate(None, None, 1.4), "contractions": Gate(True, 3.0, "2..6")},
        tolerances=(),
        provisional=False,
        bars=BARS,
        program="0.1.0",
        settings="0123456789ab",
        recorded_at=datetime(2024, 3, 4, 12, 30, tzinfo=UTC),
    )


def chain_of(count: int) -> list[RecordEntry]:
    """An honest record of so many entries."""
    entries, previous = [], FIRST_HASH
    for number in range(1, count + 1):
        text = canonical_json(reported(pivot=100.0 + number))
        entry = RecordEntry(
            number=number,
            symbol="NSE:AAA",
            previous_hash=previous,
            hash=entry_hash(previous, text),
            text=text,
        )
        entries.append(entry)
        previous = entry.hash
    return entries


def test_the_hash_is_sha_256_over_the_hash_before_and_the_canonical_json() -> None:
    """Anybody can recompute it: `printf '%s\\n%s' PREVIOUS ENTRY | sha256sum`."""
    assert (
        entry_hash("0" * 64, '{"a":1}') == "f21735afd2cd6af4fc5804b0045cebfd545aef8396d29d030c39cb8880b45b7f"
    )


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    reordered = msgspec.structs.replace(reported(), gates=dict(reversed([*reported().gates.items()])))
    assert canonical_json(reordered) == canonical_json(reported())
    assert msgspec.json.decode(canonical_json(reordered), type=ReportedSetup) == reported()


def test_the_content_is_the_same_whenever_it_was_recorded() -> None:
    later = msgspec.structs.replace(reported(), recorded_at=datetime(2024, 3, 5, tzinfo=UTC))
    assert later.content == reported().content
    assert reported(pivot=1.0).content != reported().content


def test_an_honest_chain_has_no_fault_and_every_head_of_it_is_a_witness() -> None:
    entries = chain_of(5)
    assert check_chain([]).faults == ()
    assert check_chain(entries).faults == ()
    assert check_chain(entries, entries[2].hash).witnessed == 3
    assert check_chain(entries).head == entries[-1].hash


@given(at=st.integers(0, 4), what=st.sampled_from(["text", "hash", "previous", "missing", "exchanged"]))
def test_whatever_is_changed_in_the_chain_is_found(at: int, what: str) -> None:
    entries: Sequence[RecordEntry] = chain_of(6)
    changed = list(entries)
    if what == "text":
        forged = canonical_json(reported(pivot=999.0))
        changed[at] = msgspec.structs.replace(entries[at], text=forged)
    elif what == "hash":
        changed[at] = msgspec.structs.replace(entries[at], hash="f" * 64)
    elif what == "previous":
        changed[at] = msgspec.structs.replace(entries[at], previous_hash="f" * 64)
    elif what == "missing":
        del changed[at]
    else:
        changed[at], changed[at + 1] = entries[at + 1], entries[at]
    faults = check_chain(changed).faults
    assert faults
    assert all(fault.startswith("entry ") for fault in faults)


def test_a_chain_that_was_computed_anew_is_found_only_by_a_head_from_before() -> None:
    """Whoever can write to the database can hash again: the copy in a digest is the witness."""
    honest = chain_of(4)
    texts = [canonical_json(reported(pivot=1.0)), *(entry.text for entry in honest[1:])]
    forged, previous = [], FIRST_HASH
    for number, text in enumerate(texts, start=1):
        forged.append(
            RecordEntry(
                number=number, symbol="A", previous_hash=previous, hash=entry_hash(previous, text), text=text
            )
        )
        previous = forged[-1].hash
    assert check_chain(forged).faults == ()
    (fault,) = check_chain(forged, honest[-1].hash).faults
    assert "not the record that the digest named" in fault


def test_an_entry_that_cannot_be_read_is_named() -> None:
    text = '{"symbol":1}'
    entry = RecordEntry(
        number=1, symbol="A", previous_hash=FIRST_HASH, hash=entry_hash(FIRST_HASH, text), text=text
    )
    (fault,) = check_chain([entry]).faults
    assert fault.startswith("entry 1: it cannot be read")


# -- bars and settings ------------------------------------------------------------------------------------


def panel(close: float = 100.0, *, before: int = 0) -> Panel:
    """Ten sessions, `before` more in front of them; the last close is given."""
    days = np.datetime64(DAY, "D") - np.arange(10 + before)[::-1]
    closes = np.linspace(90, 99, len(days)) if not before else np.linspace(90 - before, 99, len(days))
    closes[-10:] = np.linspace(90, 99, 10)
    closes[-1] = close
    return build_panel(
        [BarSeries.from_columns("A", days, (closes, closes + 1, closes - 1, closes), np.ones(len(days)))]
    )


def test_a_digest_of_bars_changes_with_any_value_and_not_with_older_bars() -> None:
    digest = BarsDigest.of(panel(), 0)
    assert digest is not None
    assert (digest.first, digest.last, digest.count) == (date(2024, 2, 24), DAY, 10)
    assert BarsDigest.of(panel(before=5), 0, digest.first, digest.last) == digest
    assert BarsDigest.of(panel(100.05), 0) != digest
    assert BarsDigest.of(panel(), 0, last=date(2024, 3, 3)) != digest
    assert BarsDigest.of(panel(), 0, first=date(2025, 1, 1)) is None


def test_a_missing_session_changes_the_digest() -> None:
    whole = panel()
    values = whole.values.copy()
    values[:, 0, 4] = np.nan
    holed = Panel(
        whole.symbols, whole.sessions, values, whole.provisional, whole.index_close, whole.tick_size
    )
    found = BarsDigest.of(holed, 0)
    assert found is not None
    assert found.count == 9
    assert found != BarsDigest.of(whole, 0)


@pytest.mark.parametrize("pivot", [1.0, 2.0])
def test_the_version_of_settings_follows_their_values(pivot: float) -> None:
    same, other = reported(pivot=pivot), reported(pivot=3.0)
    assert settings_version(same) == settings_version(reported(pivot=pivot))
    assert settings_version(same) != settings_version(other)
    assert len(settings_version(same)) == 12
