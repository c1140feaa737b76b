"""The door put together from its settings."""

from pathlib import Path
from typing import Final

import aiohttp

from vcpd.bhavcopy.action_lists import ActionLists
from vcpd.bhavcopy.archive import Archive, FolderArchive, WebArchive
from vcpd.bhavcopy.bulletins import Bulletins, Compute
from vcpd.bhavcopy.download import Download
from vcpd.bhavcopy.exchange_time import ExchangeTime
from vcpd.bhavcopy.market import BhavcopyMarket
from vcpd.bhavcopy.settings import BhavcopySettings

SECONDS_PER_MIN: Final = 60


def open_door(
    settings: BhavcopySettings,
    folder: Path,
    time: ExchangeTime,
    http: aiohttp.ClientSession,
    compute: Compute | None = None,
) -> BhavcopyMarket:
    """A market that keeps its files below `folder`; `settings.folder` must be absolute where it is set."""
    download = Download(http, settings)
    own = Path(settings.folder) if settings.folder else None
    ask_again_s = settings.ask_again_min * SECONDS_PER_MIN
    archive: Archive
    if own is None:
        archive = WebArchive(settings.archive_root, folder / "files", download, time.clock, ask_again_s)
    else:
        archive = FolderArchive(own, time.clock, ask_again_s)
    bulletins = Bulletins(archive, folder / "history", settings.missing_after_days, time, compute)
    lists = [folder / "actions", *([own] if own else [])]
    actions = ActionLists(lists, settings, time, None if own else download)
    return BhavcopyMarket(bulletins, actions, settings.listed_sessions, time)
