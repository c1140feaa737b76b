"""Which sector a company is of: the market's own word first, then what the owner's lists say."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from vcpd.jobs.index_lists import industries, read_lists, tells_industries
from vcpd.jobs.universe import Universe

Publication = Callable[[], Awaitable[str]]
"""The text of a list that the market itself publishes, with `Symbol` and `Industry`."""


class Sectors:
    """Sectors by symbol from every list at hand; of two that differ, the one that is named later counts.

    Lists are those of the universe's settings, as they are now; relative ones lie below `folder`.
    """

    def __init__(self, universe: Universe, folder: Path, publication: Publication | None = None) -> None:
        self._universe = universe
        self._folder = folder
        self._publication = publication

    async def current(self) -> Mapping[str, str]:
        """Raises BadInputError for a file that cannot be used, or what the market raises."""
        published = {} if self._publication is None else industries(await self._publication(), "the market")
        return published | await asyncio.to_thread(self._of_lists)

    def _of_lists(self) -> dict[str, str]:
        settings = self._universe.settings
        found: dict[str, str] = {}
        for name, text in read_lists(self._folder, settings.lists).items():
            if tells_industries(text):
                found |= industries(text, name)
        for name, text in read_lists(self._folder, settings.sectors).items():
            found |= industries(text, name)
        return found
