"""`vcpd run`: the daemon in the foreground; `vcpd login`: the market's login by pasting an address."""

import argparse
import asyncio
import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import uvloop

from vcpd.app.alert_channels import alert_secret_names
from vcpd.app.credentials import (
    PASSWORD_HASH_FILE,
    SECRET_NAMES,
    remove_secrets_from_environment,
    write_private,
)
from vcpd.app.daemon import run_daemon
from vcpd.app.market import TOKEN_FILE, user_session
from vcpd.cli.command import (
    EXIT_OK,
    add_clock_arguments,
    add_config_argument,
    configuration_path,
    exit_code,
    print_error,
    set_action,
)
from vcpd.cli.config import load_named
from vcpd.cli.output import local_text
from vcpd.config import Configuration, LoadedConfiguration, load_configuration, unknown_variables
from vcpd.core.errors import BadInputError, UnavailableError, VcpdError
from vcpd.core.supervised_tasks import force_exit
from vcpd.kite.auth import KiteSession, parse_request_token
from vcpd.ports import Clock
from vcpd.runtime.clock import WallClock, make_clock
from vcpd.store.run_as import make_folder_like_parent
from vcpd.web.sign_in import MIN_PASSWORD_CHARACTERS, hash_password

REAL_LIMITS_VARIABLE: Final = "VCPD_SANDBOX__REAL_LIMITS"


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, run, "vcpd run --config config.toml")
    add_config_argument(parser)
    add_clock_arguments(parser)
    parser.add_argument(
        "--real-limits",
        action="store_true",
        help="ask the daemon's own simulated exchange no faster than Kite allows: [sandbox] real_limits",
    )


def run(arguments: argparse.Namespace) -> int:
    remove_secrets_from_environment((*SECRET_NAMES, *alert_secret_names()))
    if arguments.real_limits:  # among the variables it holds for a reload too
        os.environ[REAL_LIMITS_VARIABLE] = "true"
    path = configuration_path(arguments)
    loaded = load_configuration(path)
    for warning in unknown_variables(os.environ, ()):  # the secrets are no longer among them
        print(f"vcpd: warning: {warning}", file=sys.stderr)
    clock = make_clock(arguments.now, arguments.speed, arguments.since)
    code: int = uvloop.run(_run_until_exit(loaded, path, clock))
    return code


async def _run_until_exit(loaded: LoadedConfiguration, path: Path, clock: Clock) -> int:
    """Runs the daemon; afterwards no thread that ignores the end keeps the process alive."""
    try:
        code = await run_daemon(loaded, path, clock)
    except VcpdError as error:
        print_error(error)
        code = exit_code(error)
    return await force_exit(code)


def add_password_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, set_password, "vcpd password\nvcpd password --config /etc/vcpd/config.toml")
    add_config_argument(parser)


def set_password(arguments: argparse.Namespace) -> int:
    """Prompt for the page's password twice, or read it from standard input, and store its hash."""
    state = load_named(arguments).state_dir
    password = _read_password()
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise BadInputError(f"the password needs at least {MIN_PASSWORD_CHARACTERS} characters")
    _create_private_folder(state)
    write_private(state / PASSWORD_HASH_FILE, hash_password(password))
    match_folder_owner(state / PASSWORD_HASH_FILE, state)
    print("the page's password is set; a running vcpd accepts it at once")
    return EXIT_OK


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("New password of the page: ")
    if getpass("The same again: ") != password:
        raise BadInputError("the two passwords differ: nothing was changed")
    return password


def add_login_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, login, "vcpd login")
    add_config_argument(parser)


def login(arguments: argparse.Namespace) -> int:
    """Keeps the day's token in the state directory, where a running daemon picks it up."""
    loaded = load_named(arguments)
    if (market := loaded.configuration.daemon.market) != "kite":
        print(f"the market `{market}` needs no login; nothing to do")
        return EXIT_OK
    state = loaded.state_dir
    _create_private_folder(state)
    asyncio.run(_log_in(loaded.configuration, state))
    match_folder_owner(state / TOKEN_FILE, state)
    print("A running daemon uses this login at once.")
    return EXIT_OK


async def _log_in(configuration: Configuration, state: Path) -> None:
    async with aiohttp.ClientSession() as http:
        session = user_session(configuration, WallClock(), state, http)
        print(f"The app's redirect URL should be {configuration.web.callback_url}")
        print(f"Open this page and log in:\n\n  {session.login_url()}\n")
        pasted = await asyncio.to_thread(_read_pasted_address)
        await _complete_login(session, pasted)
        status, exchange = session.status(), configuration.exchange
    until = f"{local_text(status.expires_at, exchange.zone)} {exchange.zone_name}"
    print(f"Logged in as {status.user_id} until {until}.")


async def _complete_login(session: KiteSession, pasted: str) -> None:
    """Exchange what was pasted; a state value in it must be the one that was given out just now."""
    request_token = parse_request_token(pasted)
    state = parse_qs(urlsplit(pasted.strip()).query).get("state", [""])[0]
    if state:
        await session.complete_login(request_token, state)
    else:
        await session.exchange_request_token(request_token)


def _read_pasted_address() -> str:
    try:
        return input("Paste the whole address of the page you ended on: ")
    except EOFError:
        raise BadInputError("no address was pasted; run `vcpd login` again") from None


def match_folder_owner(path: Path, folder: Path) -> None:
    """Give a file that root wrote to the owner of its folder, so that the daemon's user can read it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)
        path.touch()  # seen as a new file by who could not read it a moment ago


def _create_private_folder(state: Path) -> None:
    try:
        make_folder_like_parent(state)
    except OSError as error:
        raise UnavailableError(f"cannot create {state} ({error.strerror}): set another state_dir") from None
