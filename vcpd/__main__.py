"""The program's entry: `vcpd` and `python -m vcpd`."""

import signal
import sys


def main() -> int:
    """Run the command. For `run` a reload signal is kept back before the imports, which take a while."""
    if sys.argv[1:2] == ["run"]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until `hold_early_reload` handles it
    from vcpd.cli.main import main as run_command

    try:
        return run_command()
    finally:
        if sys.argv[1:2] == ["run"]:  # the interpreter's end puts handlers back to the default, which kills
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    raise SystemExit(main())
