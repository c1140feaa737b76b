"""Changes the user as requested, then executes PostgreSQL; run as a script, never imported by the daemon.

    python -I -S launcher.py IDENTITY USER_ID GROUP_ID PARENT_PID PROGRAM [ARGUMENT ...]

PostgreSQL refuses to run as root. IDENTITY says how to avoid that: `same` changes nothing; `namespace` maps
the caller to USER_ID inside a user namespace of its own, so that every file stays the caller's; `switched`
really becomes USER_ID; `switched-reading` does so and keeps the right to walk through closed folders.
The process starts a session of its own, so that a terminal's Ctrl-C does not reach it, and is interrupted
(PostgreSQL: fast shutdown) when PARENT_PID dies.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check_result(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def enter_namespace(user_id: int, group_id: int) -> None:
    """Becomes USER_ID inside a new user namespace; outside, files are still written as the caller."""
    outside_user, outside_group = os.geteuid(), os.getegid()
    _check_result(_libc().unshare(CLONE_NEWUSER), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group_id} {outside_group} 1", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user_id} {outside_user} 1", encoding="ascii")


def switch_user(user_id: int, group_id: int) -> None:
    os.setgroups([])
    os.setresgid(group_id, group_id, group_id)
    os.setresuid(user_id, user_id, user_id)


def switch_user_keep_read_capability(user_id: int, group_id: int) -> None:
    """Becomes USER_ID but keeps CAP_DAC_READ_SEARCH across exec, as an ambient capability."""
    library = _libc()
    _check_result(library.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "cannot keep capabilities")
    switch_user(user_id, group_id)
    mask = 1 << CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; low, high
    _check_result(library.capset(header, sets), "cannot set capabilities")
    raised = library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)
    _check_result(raised, "cannot keep CAP_DAC_READ_SEARCH")


def exit_with_parent(parent_pid: int) -> None:
    """Asks the kernel for SIGINT when the parent is gone; last before exec: a new identity clears it."""
    if sys.platform == "linux":
        _check_result(_libc().prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0), "no parent-death signal")
    if os.getppid() != parent_pid:
        raise SystemExit("the parent process has already ended")


RUN_AS_METHODS = {
    "same": lambda _user_id, _group_id: None,
    "namespace": enter_namespace,
    "switched": switch_user,
    "switched-reading": switch_user_keep_read_capability,
}


def main(arguments: list[str]) -> None:
    identity, user_id, group_id, parent_pid, program, *rest = arguments
    os.setsid()
    RUN_AS_METHODS[identity](int(user_id), int(group_id))
    exit_with_parent(int(parent_pid))
    os.execv(program, [program, *rest])  # noqa: S606 - becoming the given program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
