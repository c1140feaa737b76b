"""The store for one verb: beside a running daemon through its server, otherwise started for the purpose."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vcpd.app.credentials import find_secret
from vcpd.app.storage import Storage, attach_storage
from vcpd.cli.quiet import quiet_logs
from vcpd.cli.verbs import configuration_path
from vcpd.config import Configuration, Loaded, load
from vcpd.domain.errors import UnavailableError
from vcpd.domain.nse_sessions import NSE
from vcpd.domain.secrets import Secret
from vcpd.domain.sessions import TradingCalendar
from vcpd.runtime.clock import WallClock


@dataclass(frozen=True, slots=True)
class Stored:
    """An open store with the configuration it belongs to."""

    configuration: Configuration
    storage: Storage
    calendar: TradingCalendar


def state_folder(loaded: Loaded) -> Path:
    """Where everything that vcpd writes lies."""
    return (loaded.folder / loaded.configuration.daemon.state_dir).resolve()


def store_secret(loaded: Loaded) -> Secret | None:
    """The address of the owner's own database: the secret `store_dsn`, else the setting."""
    found = find_secret("store_dsn", state_folder(loaded) / "secrets", os.environ)
    plain = loaded.configuration.store.dsn
    return found if found is not None or plain is None else Secret(plain)


@asynccontextmanager
async def open_store(arguments: argparse.Namespace) -> AsyncIterator[Stored]:
    """The configuration's store, closed at the end; a daemon's server is left running."""
    quiet_logs()
    loaded = load(configuration_path(arguments))
    state = state_folder(loaded)
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UnavailableError(f"cannot use {state} ({error.strerror}): set another state_dir") from None
    settings = loaded.configuration.store
    storage = await attach_storage(settings, store_secret(loaded), state, WallClock())
    try:
        yield Stored(loaded.configuration, storage, loaded.configuration.schedule.calendar(NSE))
    finally:
        await storage.close()
