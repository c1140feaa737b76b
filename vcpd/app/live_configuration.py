"""The configuration in force, and what became of it since the start."""

from datetime import datetime
from pathlib import Path

import msgspec

from vcpd.config import Configuration, LoadedConfiguration
from vcpd.domain.calendar import TradingCalendar
from vcpd.schedule.kept_calendar import MarketDayFile


class ReloadStatus(msgspec.Struct, frozen=True):
    """What became of the configuration since the start."""

    path: str
    loaded_at: datetime
    reloads: int = 0
    refused: tuple[str, ...] = ()  # why the last reload changed nothing
    needs_restart: tuple[str, ...] = ()  # sections that changed but cannot change live


class LiveConfiguration:
    """The configuration in force; a reload replaces it as a whole, so its readers ask again each time."""

    def __init__(self, loaded: LoadedConfiguration, loaded_at: datetime) -> None:
        self.configuration: Configuration = loaded.configuration
        self._calendar = loaded.configuration.calendar
        self._state_dir = loaded.state_dir
        self._status = ReloadStatus(str(loaded.folder), loaded_at)
        self.market_days = MarketDayFile(loaded.state_dir, loaded.configuration.daemon.market)

    @property
    def calendar(self) -> TradingCalendar:
        """The exchange's calendar with the configured additions."""
        return self._calendar

    @property
    def state_dir(self) -> Path:
        return self._state_dir

    @property
    def backup_folder(self) -> Path:
        """Absolute path of the folder of scheduled backups."""
        return self._state_dir / self.configuration.backup.folder

    def digest_charts(self) -> int:
        """The most charts of a digest; a function, because a reload may change it."""
        return self.configuration.alerts.digest_charts

    @property
    def status(self) -> ReloadStatus:
        return self._status

    def replace(
        self, configuration: Configuration, loaded_at: datetime, needs_restart: tuple[str, ...]
    ) -> None:
        """Put `configuration` in force."""
        self.configuration, self._calendar = configuration, configuration.calendar
        self._status = ReloadStatus(
            self._status.path, loaded_at, self._status.reloads + 1, needs_restart=needs_restart
        )

    def follow_calendar(self, configuration: Configuration) -> None:
        """Put `configuration`, whose calendar alone differs, in force; that is no reload of the file."""
        self.configuration, self._calendar = configuration, configuration.calendar

    def refuse(self, problems: tuple[str, ...]) -> None:
        """Keep what is in force; remember why a reload changed nothing."""
        self._status = msgspec.structs.replace(self._status, refused=problems)
