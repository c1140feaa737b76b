"""Builds vcpd: setuptools, and for the modules with a .pxd file Cython and a C compiler.

Where the system has no C compiler, one that comes as a wheel is used while building: ziglang, a requirement
then and only then. What is built needs neither Cython nor a compiler.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from setuptools import Extension
from setuptools import build_meta as _setuptools
from setuptools.command.build_ext import build_ext

# Sums and products as they are written, on every machine: no fused operations, no other order. No operation
# traps, so the compiler may choose between two numbers without a branch: signs of returns predict no branch.
FLAGS: Final = [
    "-O3",
    "-g0",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-unreachable-code",
]
# For kernels that have been tried with all checks; what Python objects do in these modules is as ever, except
# that a number counted from the end, x[-1], is for slices and tuples alone: a test looks for others.
DIRECTIVES: Final = {
    "language_level": 3,
    "annotation_typing": False,  # the types stand in the .pxd files alone
    "infer_types": True,
    "cdivision": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
}
BUILD_FOLDER: Final = Path("build", "cython")
# What all compiled modules have in common, arrays above all: compiled once, not ten times.
SHARED_NAME: Final = "vcpd.analysis.shared_code"
SHARED_CODE: Final = BUILD_FOLDER / "shared_code.c"
ZIG: Final = "ziglang>=0.13"
# Of the machine's family, not of this very machine: a wheel is carried elsewhere.
ZIG_COMMAND: Final = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]

build_sdist = _setuptools.build_sdist
build_wheel = _setuptools.build_wheel
build_editable = _setuptools.build_editable
prepare_metadata_for_build_wheel = _setuptools.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = _setuptools.prepare_metadata_for_build_editable
get_requires_for_build_sdist = _setuptools.get_requires_for_build_sdist


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What building a wheel needs beside pyproject.toml's own list."""
    found: list[str] = _setuptools.get_requires_for_build_wheel(config_settings)
    return [*found, *_compiler_requirements()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """The same for an installation that runs from the checkout."""
    found: list[str] = _setuptools.get_requires_for_build_editable(config_settings)
    return [*found, *_compiler_requirements()]


def _compiler_requirements() -> list[str]:
    return [] if has_compiler() else [ZIG]


def has_compiler() -> bool:
    """Whether the system's C compiler can be found: the one that CC names, else the one of this Python."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    return shutil.which(command[0]) is not None


def kernels() -> list[str]:
    """Every module with a .pxd file."""
    files = sorted(Path("vcpd").rglob("*.pxd"))
    return [".".join(file.with_suffix("").parts) for file in files]


class BuildKernels(build_ext):
    """Compiles the kernels, as many at once as there are cores."""

    def finalize_options(self) -> None:
        """Translate to C what has changed; sources with an error are named with line and column."""
        from Cython.Build import cythonize  # noqa: PLC0415 - only where something is built

        _translate_shared_code()
        self.distribution.ext_modules = [
            Extension(SHARED_NAME, [str(SHARED_CODE)], extra_compile_args=FLAGS),
            *cythonize(
                [
                    Extension(
                        name,
                        [f"{name.replace('.', '/')}.py"],
                        extra_compile_args=FLAGS,
                        depends=["build_kernels.py"],
                    )
                    for name in kernels()
                ],
                build_dir=str(BUILD_FOLDER),
                compiler_directives=DIRECTIVES,
                shared_utility_qualified_name=SHARED_NAME,
                nthreads=os.cpu_count() or 1,
                quiet=True,
            ),
        ]
        super().finalize_options()
        self.parallel = os.cpu_count() or 1

    def build_extensions(self) -> None:
        """Compile with the system's compiler, else with the one from the wheel."""
        _check_headers()
        if not has_compiler():
            _use_zig(self.compiler)
        super().build_extensions()


def _translate_shared_code() -> None:
    if not SHARED_CODE.exists():
        BUILD_FOLDER.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "cython", f"--generate-shared={SHARED_CODE}"]
        subprocess.run(command, check=True)  # noqa: S603 - fixed words


def _check_headers() -> None:
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        message = f"{header} is missing: install this Python's headers (python3-dev), or a wheel of vcpd"
        raise SystemExit(message)


def _use_zig(compiler: Any) -> None:
    """Raises SystemExit where it is not there either."""
    try:
        subprocess.run([*ZIG_COMMAND, "--version"], check=True, capture_output=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        message = "no C compiler: install gcc or clang, or let pip build in isolation, which fetches ziglang"
        raise SystemExit(message) from None
    compiler.set_executables(
        compiler=ZIG_COMMAND,
        compiler_so=[*ZIG_COMMAND, "-fPIC"],
        linker_so=[*ZIG_COMMAND, "-shared"],
    )
