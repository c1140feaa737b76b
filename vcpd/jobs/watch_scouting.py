"""Scouting: from the store's followed bases to a board of candidates."""

from collections.abc import Sequence

from vcpd.analysis.live_states import LiveRules
from vcpd.jobs.watch_board import Board, Hours, Yardstick
from vcpd.jobs.watch_candidates import Candidate, choose, symbols_of, verdicts_by_symbol, with_instruments
from vcpd.jobs.watch_curves import Curves
from vcpd.jobs.watch_settings import WatchSettings
from vcpd.ports import SetupStore, WatchStore


class Scout:
    """Finds whom to follow in one session."""

    def __init__(self, setups: SetupStore, store: WatchStore, curves: Curves, hours: Hours) -> None:
        self._setups = setups
        self._store = store
        self._curves = curves
        self._hours = hours
        self.left_out = 0

    async def candidates(self, settings: WatchSettings) -> list[Candidate]:
        """The bases as the evening before left them, best first."""
        session = self._hours.session
        bases = await self._setups.followed()
        evening = {}
        if any(base.last_judged >= session for base in bases):
            _, setups = await self._setups.as_of(self._hours.previous_session)
            evening = verdicts_by_symbol(setups)
        choice = choose(bases, evening, session, settings)
        known = await self._store.instruments(symbols_of(choice))
        candidates = with_instruments(choice, known)
        self.left_out = choice.left_out + len(choice.judged) - len(candidates)
        return candidates

    def board(self, candidates: Sequence[Candidate], settings: WatchSettings, rules: LiveRules) -> Board:
        minutes = self._hours.minutes
        yardstick = Yardstick(self._hours, rules, settings, lambda symbol: self._curves.of(symbol, minutes))
        return Board(candidates, yardstick)
