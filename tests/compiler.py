"""Compiles the kernels of a copy of the checkout without optimisation, where their speed is not tested."""

import os
import shlex
import shutil
import sysconfig
from pathlib import Path


def quick_compiler(folder: Path) -> dict[str, str]:
    """The variables of a build whose C compiler, written to `folder`, does not optimise; none without one.

    A compiler obeys the last of its options. The numbers of optimised kernels are compared by every test that
    runs on those of the checkout.
    """
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(command[0]) is None:
        return {}
    script = folder / "cc"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@" -O0\n', encoding="ascii")
    script.chmod(0o755)
    return {"CC": str(script)}
