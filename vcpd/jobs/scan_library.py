"""The scans that have a name: those of the configuration, those saved on the page, and the presets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from vcpd.analysis.scans.parser import parse_scan
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import ListedScan, ScanSettings, find_scan, list_scans
from vcpd.core.errors import BadInputError
from vcpd.domain.scans import SavedScan

MAX_SAVED: Final = 200


class SavedScanStore(Protocol):
    """Scans that were saved on the page."""

    async def all(self) -> Sequence[SavedScan]:
        """Every one, by name."""
        ...

    async def put(self, scan: SavedScan) -> None:
        """Save it; one of the same name is replaced."""
        ...

    async def remove(self, name: str) -> bool:
        """Remove it; False where there was none."""
        ...


@dataclass(frozen=True, slots=True)
class ScanLibrary:
    """Finds and lists scans by name. The configuration's scans go before saved ones, these before presets."""

    settings: ScanSettings
    store: SavedScanStore

    async def listed(self) -> Sequence[ListedScan]:
        """Saved scans of both kinds by name, then the presets."""
        configured = list_scans(self.settings)
        taken = {scan.name for scan in configured if scan.source is None}
        saved = [
            ListedScan(scan.name, "saved on the page", scan.expression, None, scan.followed, is_stored=True)
            for scan in await self.store.all()
            if scan.name not in taken
        ]
        stored = {scan.name for scan in saved}
        own = [scan for scan in configured if scan.source is None]
        presets = [scan for scan in configured if scan.source is not None and scan.name not in stored]
        return sorted([*own, *saved], key=lambda scan: scan.name) + presets

    async def find(self, name: str) -> str:
        """The expression of a scan. BadInputError for an unknown name."""
        stored = {scan.name: scan.expression for scan in await self.store.all()}
        return find_scan(name, {**stored, **self.settings.saved})

    async def followed(self) -> Sequence[ListedScan]:
        """Lists the scans whose changes are alerted: in the configuration's order, then those of the page."""
        found = {scan.name: scan for scan in await self.listed() if scan.followed}
        configured = [found[name] for name in self.settings.follow if name in found]
        return configured + [scan for name, scan in found.items() if name not in self.settings.follow]

    async def save(self, scan: SavedScan) -> None:
        """Save a scan of the page. BadInputError for its text, a name that is taken, and beyond MAX_SAVED."""
        parse_scan(scan.expression)
        if scan.name in self.settings.saved:
            raise BadInputError(f"name: {scan.name} is a scan of the configuration; choose another name")
        if scan.name in PRESETS:
            raise BadInputError(f"name: {scan.name} is a preset; choose another name")
        known = {saved.name for saved in await self.store.all()}
        if scan.name not in known and len(known) >= MAX_SAVED:
            raise BadInputError(f"{MAX_SAVED} scans are saved already; remove one first")
        await self.store.put(scan)

    async def remove(self, name: str) -> None:
        """Remove a scan of the page. KeyError where no such scan was saved there."""
        if not await self.store.remove(name):
            raise KeyError(name)
