"""The program's entry: `vcpd` and `python -m vcpd`."""

import gc
import signal
import sys
from typing import Final

LONG_RUNNING_COMMANDS: Final = ("run", "sandbox")
RARE_COLLECTIONS: Final = (100_000, 50, 100)


def main() -> int:
    """Run the command. For `run` a reload signal is kept back before the imports, which take a while.

    A command that ends soon rarely collects garbage, and not at its end: each collection looks at all that
    was imported, a fifth of such a command's time otherwise.
    """
    if sys.argv[1:2] == ["run"]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until `hold_early_reload` handles it
    ends_soon = not sys.argv[1:] or sys.argv[1] not in LONG_RUNNING_COMMANDS
    if ends_soon:
        gc.set_threshold(*RARE_COLLECTIONS)
    from vcpd.cli.main import main as run_command

    try:
        return run_command()
    finally:
        if ends_soon:
            gc.freeze()
        if sys.argv[1:2] == ["run"]:  # the interpreter's end puts handlers back to the default, which kills
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    raise SystemExit(main())
