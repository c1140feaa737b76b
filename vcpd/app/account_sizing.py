"""Sizes positions for the configured account, beside what it holds: the port and the alerts size alike.

What does not depend on the single setup is read once, for any number of sizes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import msgspec

from vcpd.analysis.heat import UNKNOWN_SECTOR, Heat, risk_available
from vcpd.analysis.sizing import HeatLimit, Sizing, SizingChoice, size_of_setup
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup


@dataclass(frozen=True, slots=True)
class AccountSizing:
    """The last evaluation of the account, and the lot sizes and sectors of some symbols.

    `heat` is None where nothing was judged yet, or the account's value was not known then.
    """

    storage: Storage
    configuration: Configuration
    heat: Heat | None
    sectors: Mapping[str, str]
    lot_sizes: Mapping[str, int]

    @classmethod
    async def read(cls, storage: Storage, configuration: Configuration, symbols: Sequence[str]) -> Self:
        """Read what sizes in these symbols need."""
        wanted = set(symbols)
        stored = await storage.instruments.all()
        lot_sizes = {item.symbol: item.instrument.lot_size for item in stored if item.symbol in wanted}
        latest = await storage.position_reports.latest_heat()
        heat = None if latest is None else msgspec.json.decode(latest.heat, type=Heat | None)
        sectors: dict[str, str] = {}
        if latest is not None and heat is not None:
            companies = await storage.position_notes.companies(sorted(wanted), latest.session)
            sectors = {symbol: note.sector for symbol, note in companies.items() if note.sector is not None}
        return cls(storage, configuration, heat, sectors, lot_sizes)

    async def size(self, setup: Setup, choice: SizingChoice) -> Sizing:
        """The size of a position in a setup; lot size and caps of [heat] are those of its symbol.

        Raises BadInputError where there is nothing to enter at, or no value of the account is known.
        """
        scores = await self.risk_scores([setup])
        return self.size_by_score(setup, scores.get((setup.symbol, setup.as_of)), choice)

    async def risk_scores(self, setups: Iterable[Setup]) -> Mapping[tuple[str, date], RiskScore]:
        """The latest score of each setup's symbol up to its session; absent before the first one.

        While a session runs it has verdicts already, and no score yet.
        """
        return await self.storage.risk.latest_until({(setup.symbol, setup.as_of) for setup in setups})

    def size_by_score(self, setup: Setup, risk: RiskScore | None, choice: SizingChoice) -> Sizing:
        """The same by a risk score that was read before."""
        symbol = setup.symbol
        known = msgspec.structs.replace(
            choice, lot_size=self.lot_sizes.get(symbol, 1), heat=self.heat_limit(symbol, choice.equity)
        )
        return size_of_setup(setup, risk, self.configuration.size, known)

    def heat_limit(self, symbol: str, equity: float | None) -> HeatLimit | None:
        """What the caps of [heat] leave for a symbol beside what is held.

        `equity` is another value of the account; None is the one that was judged.
        """
        if self.heat is None:
            return None
        known = msgspec.structs.replace(self.heat, equity=equity or self.heat.equity)
        sector = self.sectors.get(symbol, UNKNOWN_SECTOR)
        return HeatLimit(*risk_available(known, symbol, sector, self.configuration.heat))
