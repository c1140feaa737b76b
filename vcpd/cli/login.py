"""`vcpd login`: through the market's login page with a browser anywhere, back by pasting."""

import argparse
import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp

from vcpd.app.market import TOKEN_FILE, owner_session
from vcpd.cli.output import local_text
from vcpd.cli.verbs import EXIT_OK, configuration_path
from vcpd.config import Configuration, load
from vcpd.domain.errors import BadInputError, UnavailableError
from vcpd.kite.auth import INDIA, KiteSession, request_token_of
from vcpd.runtime.clock import WallClock


def login(arguments: argparse.Namespace) -> int:
    """Keeps the day's token in the state directory, where a running daemon picks it up."""
    loaded = load(configuration_path(arguments))
    if (market := loaded.configuration.daemon.market) != "kite":
        print(f"the market `{market}` needs no login of yours; nothing to do")
        return EXIT_OK
    state = (loaded.folder / loaded.configuration.daemon.state_dir).resolve()
    _make_private(state)
    asyncio.run(_log_in(loaded.configuration, state))
    give_to_owner(state / TOKEN_FILE, state)
    print("A running daemon takes this up by itself.")
    return EXIT_OK


async def _log_in(configuration: Configuration, state: Path) -> None:
    async with aiohttp.ClientSession() as http:
        session = owner_session(configuration.kite, configuration.limits, WallClock(), state, http)
        print(f"Open this page and log in:\n\n  {session.url()}\n")
        pasted = await asyncio.to_thread(_ask)
        await _complete(session, pasted)
        status = session.status()
    print(f"Logged in as {status.user_id} until {local_text(status.expires_at, INDIA)} India time.")


async def _complete(session: KiteSession, pasted: str) -> None:
    """Exchange what was pasted; a state value in it must be the one that was given out just now."""
    request_token = request_token_of(pasted)
    state = parse_qs(urlsplit(pasted.strip()).query).get("state", [""])[0]
    if state:
        await session.complete(request_token, state)
    else:
        await session.exchange(request_token)


def _ask() -> str:
    try:
        return input("Paste the whole address of the page you ended on: ")
    except EOFError:
        raise BadInputError("no address was pasted; run `vcpd login` again") from None


def give_to_owner(path: Path, folder: Path) -> None:
    """Root hands a file to whom its folder belongs: the daemon is another user, and must read it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)
        path.touch()  # seen as a new file by who could not read it a moment ago


def _make_private(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UnavailableError(f"cannot make {state} ({error.strerror}): set another state_dir") from None
