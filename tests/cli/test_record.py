"""`vcpd record verify`: the chain, and every difference from the history with its cause."""

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.cli.scripted_daemon import call
from vcpd.analysis.record_comparison import Cause, Difference, compare_with_history
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import EncodedScreenResult, ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK
from vcpd.core.deprecated_names import CONFIG_KEYS
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.instruments import Instrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.record import (
    FIRST_HASH,
    RecordEntry,
    ReportedSetup,
    canonical_json,
    check_chain,
    entry_hash,
    settings_version,
)
from vcpd.ports import SessionSpan
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.screen_results import PostgresSetupStore
from vcpd.store.settings import StoreSettings

FEW = Thresholds(min_rs_universe=5)
FORMER_KEYS = {
    new: path.removeprefix("screen.") for path, new in CONFIG_KEYS.items() if path.startswith("screen.")
}
NAME = "NSE:P"
Capture = pytest.CaptureFixture[str]


def _base(depths_pct: tuple[float, ...]) -> np.ndarray:
    """An advance to 100, then one fall and rally for each depth, the last rally cut short."""
    path, top = [np.linspace(40, 100, 320)], 100.0
    for number, depth_pct in enumerate(depths_pct):
        bottom = top * (1 - depth_pct / 100)
        path.append(np.linspace(top, bottom, 15)[1:])
        top *= 0.995
        is_last = number == len(depths_pct) - 1
        path.append(np.linspace(bottom, bottom * 1.03 if is_last else top, 4 if is_last else 15)[1:])
    return np.concatenate(path)


def _series(symbol: str, close: np.ndarray, seed: int) -> BarSeries:
    random = np.random.default_rng(seed)
    days = NSE.sessions(date(2022, 1, 1), date(2025, 6, 30))[-len(close) :]
    opened = close * (1 + random.normal(0, 0.001, len(close)))
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return BarSeries.from_columns(
        symbol, days, (opened, high, low, close), random.uniform(1e5, 2e5, len(close))
    )


@cache
def market() -> tuple[BarSeries, ...]:
    """A planted base beside 20 falling random walks."""
    planted = _base((25.0, 12.0, 4.5))
    walks = [
        100 * np.exp(np.cumsum(np.random.default_rng(n).normal(-0.001, 0.02, len(planted))))
        for n in range(20)
    ]
    return (
        _series(NAME, planted, 1),
        *(_series(f"NSE:S{n:02}", walk, n) for n, walk in enumerate(walks)),
    )


def recorded(panel: Panel, sessions: Sequence[date], thresholds: Thresholds = FEW) -> list[ReportedSetup]:
    """What the screens of those evenings reported, each recorded at 16:05 of its session."""
    found = []
    for session in sessions:
        cut = panel.until(session)
        judged = screen_rows(cut, range(len(cut.symbols)), ScreenParams(thresholds=thresholds))
        for setup in EncodedScreenResult.of(judged, cut, thresholds).reported:
            at = datetime(session.year, session.month, session.day, 10, 35, tzinfo=UTC)
            found.append(msgspec.structs.replace(setup, recorded_at=at))
    return found


def chained(setups: Sequence[ReportedSetup]) -> list[RecordEntry]:
    entries, previous = [], FIRST_HASH
    for number, setup in enumerate(setups, start=1):
        text = canonical_json(setup)
        after = entry_hash(previous, text)
        entries.append(
            RecordEntry(number=number, symbol=setup.symbol, previous_hash=previous, hash=after, text=text)
        )
        previous = after
    return entries


def differences(
    setups: Sequence[ReportedSetup], panel: Panel, thresholds: Thresholds = FEW
) -> tuple[Difference, ...]:
    return compare_with_history(chained(setups), panel, thresholds, NSE).differences


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(market())


@pytest.fixture(scope="module")
def evenings(panel: Panel) -> list[ReportedSetup]:
    found = recorded(panel, panel.sessions[-4:].tolist())
    assert [setup.symbol for setup in found] == [NAME] * len(found)
    assert len(found) >= 2
    return found


def test_what_was_reported_on_final_bars_agrees_with_the_history(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    compared = compare_with_history(chained(evenings), panel, FEW, NSE)
    assert (compared.compared, compared.not_final, compared.late) == (len(evenings), 0, 0)
    assert compared.differences == ()


def test_an_entry_that_the_history_does_not_repeat_is_shown_with_both_numbers(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    forged = msgspec.structs.replace(evenings[-1], pivot=123.45)
    (found,) = differences([*evenings[:-1], forged], panel)
    assert (found.cause, found.session, found.number) == (
        Cause.NOT_FOUND_AGAIN,
        forged.session,
        len(evenings),
    )
    assert found.detail == f"pivot 123.45, history {evenings[-1].pivot:.2f}"


def test_other_settings_are_a_cause_of_their_own(panel: Panel, evenings: list[ReportedSetup]) -> None:
    stricter = msgspec.structs.replace(FEW, max_final_depth_pct=2.0)
    found = differences(evenings, panel, stricter)
    assert {difference.cause for difference in found} == {Cause.VERSION}
    assert {difference.detail for difference in found} == {"the history has no base on that session"}
    older = [msgspec.structs.replace(evening, program="0.0.1", pivot=1.0) for evening in evenings]
    assert {difference.cause for difference in differences(older, panel)} == {Cause.VERSION}


def test_entries_under_the_former_names_of_the_settings_still_verify(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    """The chain covers what was stored; and a renamed key is no other version."""
    values = {FORMER_KEYS.get(name, name): value for name, value in msgspec.to_builtins(FEW).items()}
    former = hashlib.sha256(canonical_json(values).encode()).hexdigest()[:12]
    assert former != settings_version(FEW)
    entries = chained([msgspec.structs.replace(evening, settings=former, pivot=1.0) for evening in evenings])
    assert check_chain(entries, entries[-1].hash).faults == ()
    found = compare_with_history(entries, panel, FEW, NSE).differences
    assert {difference.cause for difference in found} == {Cause.NOT_FOUND_AGAIN}
    stricter = msgspec.structs.replace(FEW, max_final_depth_pct=2.0)
    found = compare_with_history(entries, panel, stricter, NSE).differences
    assert {difference.cause for difference in found} == {Cause.VERSION}


def _restated(panel: Panel, factor: float) -> Panel:
    """The same market after the symbol's prices were multiplied."""
    values = panel.values.copy()
    values[:4, panel.row_of(NAME)] *= factor
    return Panel(panel.symbols, panel.sessions, values, panel.provisional, panel.index_close, panel.tick_size)


def test_restated_bars_and_provisional_entries_are_causes_of_their_own(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    halved = _restated(panel, 0.5)
    assert {difference.cause for difference in differences(evenings, halved)} == {Cause.RESTATED}
    early = [msgspec.structs.replace(evening, provisional=True) for evening in evenings]
    assert {difference.cause for difference in differences(early, halved)} == {Cause.PROVISIONAL}
    assert differences(early, panel) == ()


def test_symbols_that_are_left_out_now_are_named(panel: Panel, evenings: list[ReportedSetup]) -> None:
    excluded = build_panel(market(), exclusions={NAME: "a step overnight"})
    assert {difference.detail for difference in differences(evenings, excluded)} == {
        "data quality excludes the symbol: a step overnight"
    }
    gone = build_panel(market()[1:])
    found = differences(evenings, gone)
    assert {difference.detail for difference in found} == {"the symbol is not in the universe any more"}
    assert len(found) == len(evenings)


def test_entries_whose_bars_are_not_final_yet_wait_and_late_ones_are_counted(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    provisional = panel.provisional.copy()
    provisional[:, -1] = True
    running = Panel(
        panel.symbols, panel.sessions, panel.values, provisional, panel.index_close, panel.tick_size
    )
    weeks_later = evenings[-1].recorded_at or datetime.now(UTC)
    late = msgspec.structs.replace(evenings[-1], recorded_at=weeks_later + timedelta(days=21))
    compared = compare_with_history(chained([*evenings, late]), running, FEW, NSE)
    at_the_end = sum(evening.session == panel.sessions[-1].item() for evening in (*evenings, late))
    assert (compared.not_final, compared.late) == (at_the_end, 1)
    assert compared.differences == ()


def _lacking(
    kept: Sequence[ReportedSetup],
    panel: Panel,
    thresholds: Thresholds = FEW,
    screened: set[date] | None = None,
) -> list[tuple[date, str, Cause]]:
    compared = compare_with_history(chained(kept), panel, thresholds, NSE, screened)
    return [(missing.session, missing.symbol, missing.cause) for missing in compared.unreported]


def test_setups_of_the_history_that_the_record_lacks_are_listed_with_their_cause(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    """One evening's entry is taken away, which no check of the chain could show for the newest."""
    first, second, *_, last = evenings
    assert _lacking(evenings, panel) == []
    without = [evening for evening in evenings if evening is not last]
    screened = {evening.session for evening in evenings}
    assert _lacking(without, panel, screened=screened) == [(last.session, NAME, Cause.NOT_REPORTED)]
    assert _lacking(without, panel) == [(last.session, NAME, Cause.NOT_SCREENED)]
    halved = _restated(panel, 0.5)
    assert _lacking(without, halved, screened=screened) == [(last.session, NAME, Cause.RESTATED)]
    of_others = msgspec.structs.replace(second, symbol="NSE:S00")
    for changes, cause in (({"provisional": True}, Cause.PROVISIONAL), ({"program": "0.0.1"}, Cause.VERSION)):
        other = msgspec.structs.replace(of_others, **changes)
        assert _lacking([first, other], panel, screened=screened)[0] == (second.session, NAME, cause)


def test_what_preceded_the_record_or_still_runs_is_not_lacking(
    panel: Panel, evenings: list[ReportedSetup]
) -> None:
    assert _lacking(evenings[1:], panel) == []
    assert _lacking([], panel) == []
    provisional = panel.provisional.copy()
    provisional[:, -1] = True
    running = Panel(
        panel.symbols, panel.sessions, panel.values, provisional, panel.index_close, panel.tick_size
    )
    last_session = panel.sessions[-1].item()
    before = [evening for evening in evenings if evening.session < last_session]
    assert last_session not in {session for session, _, _ in _lacking(before, running)}


# -- the verb over a real store ---------------------------------------------------------------------------


async def _fill(evenings: Sequence[ReportedSetup]) -> None:
    """Every bar, and the evenings' entries."""
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    try:
        instruments = PostgresInstrumentStore(database)
        listed = [Instrument(series.symbol, 1000 + n) for n, series in enumerate(market())]
        await instruments.merge(listed, date(2025, 6, 30))
        ids = {instrument.symbol: instrument.id for instrument in await instruments.all()}
        spans = {
            ids[series.symbol]: SessionSpan(series.sessions[0].item(), series.sessions[-1].item())
            for series in market()
        }
        table = BarTable.gather((ids[series.symbol], series) for series in market())
        await PostgresBarStore(database).merge(table, spans)
        for session in sorted({evening.session for evening in evenings}):
            own = [evening for evening in evenings if evening.session == session]
            await PostgresSetupStore(database).put(session, [], [], own)
    finally:
        await database.close()


async def _execute(statement: str) -> None:
    database = await Database.open(Secret(os.environ["VCPD_STORE_DSN"]), StoreSettings())
    try:
        await database.execute("ALTER TABLE reported_setups DISABLE TRIGGER ALL")
        await database.execute(statement)
    finally:
        await database.close()


async def test_the_verb_checks_chain_and_history_and_fails_for_a_changed_entry(
    store: Path, capsys: Capture, evenings: list[ReportedSetup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCPD_SCREEN__RS_UNIVERSE_LEAST", "5")
    await _fill(evenings)
    entries = chained(evenings)
    words = ("record", "verify", "--config", store)
    assert await call(*words, "--head", entries[0].hash) == EXIT_OK
    said = capsys.readouterr().out
    assert f"{len(entries)} entries, head {entries[-1].hash}" in said
    assert "the chain is unbroken" in said
    assert f"covers entries 1 to 1 of {len(entries)}" in said
    assert f"{len(entries)} agree, 0 differ; 0 wait" in said
    assert "the record lacks 0 of the history's setups\n" in said
    assert await call(*words, "--json") == EXIT_OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["chain"]["head"] == entries[-1].hash
    assert answer["comparison"]["differences"] == answer["comparison"]["unreported"] == []
    await _execute("UPDATE reported_setups SET entry = replace(entry, 'FORMING', 'NEAR_PIVOT')")
    await _execute("UPDATE reported_setups SET entry = replace(entry, '\"score\":', '\"score\":1')")
    assert await call(*words) == EXIT_FAILED
    assert "broken: entry 1: its content does not have the hash" in capsys.readouterr().out


async def test_the_verb_names_a_setup_that_was_never_reported(
    store: Path, capsys: Capture, evenings: list[ReportedSetup], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest evening was never screened: its setup is not in the record."""
    monkeypatch.setenv("VCPD_SCREEN__RS_UNIVERSE_LEAST", "5")
    await _fill(evenings[:-1])
    assert await call("record", "verify", "--config", store) == EXIT_OK
    said = capsys.readouterr().out
    assert "the record lacks 1 of the history's setups (1 not screened)" in said
    assert NAME in said.split("not in the record")[1]


async def test_the_verb_without_entries_and_with_a_head_that_is_none(store: Path, capsys: Capture) -> None:
    assert await call("record", "verify", "--config", store) == EXIT_OK
    assert "0 entries, head no entries: nothing has been reported yet" in capsys.readouterr().out
    assert await call("record", "verify", "--config", store, "--head", "5d") == EXIT_BAD_INPUT
    assert "expected 64 hexadecimal digits" in capsys.readouterr().err
    assert await call("record", "verify", "--config", store, "--head", "5d" * 32) == EXIT_FAILED
    assert "not the record that the digest named" in capsys.readouterr().out


def test_the_version_of_the_settings_is_that_of_the_screens() -> None:
    assert settings_version(FEW) != settings_version(Thresholds())
