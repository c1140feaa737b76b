"""Where prices come from right now: the live feed, or quotes while it is away or says nothing."""

from typing import NamedTuple

from vcpd.jobs.watch_settings import WatchSettings


class Advice(NamedTuple):
    """Whether to ask for quotes, and whether the feed should begin anew."""

    polling: bool
    renew: bool


class SourceWatch:
    """Told what is seen, it says what to do; all instants in real seconds of one clock."""

    def __init__(self, now_s: float) -> None:
        self._live_s = now_s
        self._expected_s = now_s  # since when prices should come
        self._heard_s = now_s
        self._renewed_s = now_s

    def heard(self, now_s: float) -> None:
        """The feed has told a price."""
        self._heard_s = now_s

    def advise(self, now_s: float, *, live: bool, expected: bool, settings: WatchSettings) -> Advice:
        """`live`: the feed is connected; `expected`: the session runs and somebody is followed."""
        if live:
            self._live_s = now_s
        if not expected:
            self._expected_s = now_s
            return Advice(polling=False, renew=False)
        away = now_s - max(self._live_s, self._expected_s) > settings.fall_back_after_s
        silent = live and now_s - max(self._heard_s, self._expected_s) > settings.silent_after_s
        renew = silent and now_s - self._renewed_s > settings.silent_after_s
        if renew:
            self._renewed_s = now_s
        return Advice(polling=away or silent, renew=renew)
