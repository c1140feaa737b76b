"""Scans by name: which one a name means, which ones are followed, and what may be saved."""

import pytest

from tests.fakes.scans import FakeSavedScans
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import ScanSettings
from vcpd.core.errors import BadInputError
from vcpd.domain.scans import SavedScan
from vcpd.jobs.scan import MAX_SAVED, ScanLibrary

CONFIGURED = ScanSettings(saved={"mine": "close > 5"}, follow=("nr7", "mine"))


async def test_scans_of_the_configuration_go_before_saved_ones_and_these_before_presets() -> None:
    store = FakeSavedScans(SavedScan("mine", "close > 7"), SavedScan("own", "close > 9"))
    library = ScanLibrary(CONFIGURED, store)
    listed = await library.listed()
    assert [scan.name for scan in listed[:2]] == ["mine", "own"]
    assert [scan.is_stored for scan in listed[:2]] == [False, True]
    assert len(listed) == 2 + len(PRESETS)
    assert (await library.find("mine"), await library.find("own")) == ("close > 5", "close > 9")
    assert await library.find("nr7") == PRESETS["nr7"].expression
    with pytest.raises(BadInputError, match="there is no scan 'nonsense'; known are bollinger_squeeze"):
        await library.find("nonsense")
    with pytest.raises(BadInputError, match="there is no scan 'nr77', did you mean nr7"):
        await library.find("nr77")


async def test_followed_are_those_of_the_configuration_and_then_those_of_the_page() -> None:
    store = FakeSavedScans(SavedScan("own", "close > 9", followed=True), SavedScan("other", "close > 1"))
    followed = await ScanLibrary(CONFIGURED, store).followed()
    assert [scan.name for scan in followed] == ["nr7", "mine", "own"]


async def test_a_scan_is_saved_changed_and_removed() -> None:
    library = ScanLibrary(CONFIGURED, FakeSavedScans())
    await library.save(SavedScan("own", "close > 9"))
    await library.save(SavedScan("own", "close > 10", followed=True))
    assert await library.find("own") == "close > 10"
    await library.remove("own")
    with pytest.raises(KeyError):
        await library.remove("own")
    with pytest.raises(KeyError):
        await library.remove("mine")


@pytest.mark.parametrize(
    ("scan", "problem"),
    [
        (SavedScan("own", "clos > 9"), "unknown name 'clos'; did you mean close"),
        (SavedScan("mine", "close > 9"), "name: mine is a scan of the configuration"),
        (SavedScan("nr7", "close > 9"), "name: nr7 is a preset"),
    ],
)
async def test_what_cannot_be_saved_is_refused_with_its_reason(scan: SavedScan, problem: str) -> None:
    store = FakeSavedScans()
    with pytest.raises(BadInputError, match=problem):
        await ScanLibrary(CONFIGURED, store).save(scan)
    assert await store.all() == []


async def test_the_number_of_saved_scans_is_bounded() -> None:
    full = FakeSavedScans(*(SavedScan(f"scan_{number}", "close > 1") for number in range(MAX_SAVED)))
    library = ScanLibrary(ScanSettings(), full)
    await library.save(SavedScan("scan_0", "close > 2"))
    with pytest.raises(BadInputError, match="200 scans are saved already; remove one first"):
        await library.save(SavedScan("another", "close > 2"))
