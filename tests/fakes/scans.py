"""Scans that were saved on the page, in memory."""

from collections.abc import Sequence

from vcpd.domain.scans import SavedScan


class FakeSavedScans:
    """`SavedScanStore` by name."""

    def __init__(self, *scans: SavedScan) -> None:
        self._scans = {scan.name: scan for scan in scans}

    async def all(self) -> Sequence[SavedScan]:
        return [self._scans[name] for name in sorted(self._scans)]

    async def put(self, scan: SavedScan) -> None:
        self._scans[scan.name] = scan

    async def remove(self, name: str) -> bool:
        return self._scans.pop(name, None) is not None
