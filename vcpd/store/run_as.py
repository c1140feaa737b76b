"""Chooses the user that the embedded server runs as: PostgreSQL refuses root and users without a name."""

import asyncio
import os
import pwd
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from vcpd.core.errors import UnavailableError
from vcpd.store.embedded_process import server_environment

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
NOBODY: Final = "nobody"
UNPRIVILEGED_ID: Final = 65534


class RunAsMethod(StrEnum):
    """The methods that `launcher.py` describes."""

    SAME = "same"
    NAMESPACE = "namespace"
    SWITCHED = "switched"
    SWITCHED_READING = "switched-reading"


@dataclass(frozen=True, slots=True)
class RunAsUser:
    """A route, and the user and group at its end."""

    method: RunAsMethod
    user_id: int
    group_id: int

    def command(self, program: Path, *arguments: str) -> list[str]:
        """The command line that runs `program` as this identity, bound to the life of this process."""
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
        numbers = [str(self.user_id), str(self.group_id), str(os.getpid())]
        return [*launcher, self.method, *numbers, str(program), *arguments]


def run_as_candidates(owner: tuple[int, int], effective_id: int) -> list[RunAsUser]:
    """Identities to try, the best first.

    `owner` is the (user, group) the data belongs to so far, `effective_id` the user we are. Root works on
    another user's data as that user, so that the user can take over again.
    """
    if effective_id != 0:
        known = _has_passwd_entry(effective_id)
        return [RunAsUser(RunAsMethod.SAME if known else RunAsMethod.NAMESPACE, *_unprivileged_ids(known))]
    if owner[0] != 0:
        return [RunAsUser(RunAsMethod.SWITCHED, *owner), RunAsUser(RunAsMethod.SWITCHED_READING, *owner)]
    routes = (RunAsMethod.NAMESPACE, RunAsMethod.SWITCHED, RunAsMethod.SWITCHED_READING)
    return [RunAsUser(route, *_unprivileged_ids(known=False)) for route in routes]


async def choose_run_as(folder: Path, program: Path) -> RunAsUser:
    """The first identity that can run `program` and write into `folder` and below.

    Gives `folder` to another user only where that is the only way. Raises UnavailableError.
    """
    tried = []
    for identity in run_as_candidates(_folder_owner(folder), os.geteuid()):
        change_owner(folder, identity)
        complaint = await _probe_failure(identity, folder, program)
        if complaint is None:
            return identity
        tried.append(f"{identity.method}: {complaint}")
    raise UnavailableError(
        f"PostgreSQL does not run as root, and no other identity can use {folder} ({'; '.join(tried)}): "
        "run vcpd as an ordinary user, or set [store] dsn to a server of your own"
    )


def change_owner(folder: Path, identity: RunAsUser) -> None:
    """Make everything in `folder` belong to the user that will work there; only root ever needs to."""
    if os.geteuid() != 0:
        return
    switched = identity.method in (RunAsMethod.SWITCHED, RunAsMethod.SWITCHED_READING)
    user_id, group_id = (identity.user_id, identity.group_id) if switched else (0, 0)
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != user_id:
            os.chown(path, user_id, group_id, follow_symlinks=False)


def make_folder_like_parent(folder: Path) -> None:
    """Make `folder` and what is missing above it.

    What root makes belongs to whom the nearest existing folder above belongs, so that a command of root
    before the first start takes nothing away from the service's own user. OSError where it cannot be made.
    """
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder_like_parent(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    match_folder_owner(folder)


def match_folder_owner(path: Path) -> None:
    """Root gives a file or folder that it made to the owner of the folder around it."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and path.lstat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


async def _probe_failure(identity: RunAsUser, folder: Path, program: Path) -> str | None:
    """Why the identity cannot be used, or None."""
    probe = folder / "probe"
    script = 'touch "$1" && rm "$1" && exec "$2" --version'
    arguments = identity.command(Path("/bin/sh"), "-c", script, "sh", str(probe), str(program))
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=server_environment(),
    )
    _, complaint = await process.communicate()
    if process.returncode == 0:
        return None
    lines = complaint.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"


def _folder_owner(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_uid, status.st_gid


def _has_passwd_entry(user_id: int) -> bool:
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        return False
    return True


def _unprivileged_ids(known: bool) -> tuple[int, int]:
    """The (user, group) to become: ourselves when we have a name, else `nobody`."""
    if known:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(NOBODY)
    except KeyError:
        return UNPRIVILEGED_ID, UNPRIVILEGED_ID
    return entry.pw_uid, entry.pw_gid
