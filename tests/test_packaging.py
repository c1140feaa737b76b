"""Wheel and source archive hold what they must; the shipped scripts build a release and a container."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.exchange import free_port
from tests.compiler import quick_compiler

CHECKOUT: Final = Path(__file__).resolve().parents[1]
SOURCES_ONLY: Final = shutil.ignore_patterns("__pycache__", "*.so")
TREES: Final = ("vcpd", "docs", "systemd", "benchmarks", "tests")
NO_NETWORK: Final = (
    "Could not find a version",
    "No matching distribution",
    "Connection",
    "Temporary failure",
)
READY_S: Final = 240.0
DEBIAN: Final = "bookworm"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what it ignores: building writes into the tree."""
    folder = tmp_path_factory.mktemp("source")
    for name in TREES:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=SOURCES_ONLY)
    for path in CHECKOUT.iterdir():
        if path.is_file():
            shutil.copy2(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def archives(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and source archive, as `make dist` builds them."""
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(source / "dist"), str(source))
    _run(*build, **quick_compiler(tmp_path_factory.mktemp("compiler")))
    (wheel,), (archive,) = (source / "dist").glob("*.whl"), (source / "dist").glob("*.tar.gz")
    return wheel, archive


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    said = done.stdout + done.stderr
    if done.returncode and any(words in said for words in NO_NETWORK):
        pytest.skip("needs a package index")
    assert done.returncode == 0, said[-3000:]
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(archives: tuple[Path, Path]) -> None:
    files = {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "vcpd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    with zipfile.ZipFile(archives[0]) as wheel:
        names = set(wheel.namelist())
    assert files <= names
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "OFL.txt"}


def test_the_source_archive_holds_what_a_release_is_made_from(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "config.toml", "requirements.lock", "Containerfile", "compose.yaml"} <= names
    assert {"docs/install.md", "systemd/vcpd.service", "systemd/container/build.sh"} <= names
    assert "tests/test_packaging.py" in names


def test_an_index_accepts_the_metadata(archives: tuple[Path, Path]) -> None:
    _run(sys.executable, "-m", "twine", "check", "--strict", *map(str, archives))
    with zipfile.ZipFile(archives[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        text = wheel.read(name).decode()
    for field in (
        "Author:",
        "Maintainer:",
        "Keywords:",
        "License-Expression:",
        "Requires-Python:",
        "Classifier:",
    ):
        assert f"\n{field}" in text, field


def test_the_lock_has_each_requirement_within_its_bounds_and_by_hash() -> None:
    """A requirement that was added without `make lock` is found here."""
    project: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", lock)
    locked = {re.split(r"==", entry, maxsplit=1)[0]: entry for entry in entries}
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=;\s]", requirement, maxsplit=1)[0].replace(".", "-").lower()
        assert name in {key.replace(".", "-") for key in locked}, f"{name}: run `make lock`"
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "http" not in re.sub(r"aiohttp|httpx?", "", lock)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_wheel_runs_in_a_clean_environment(archives: tuple[Path, Path], tmp_path: Path) -> None:
    """Installed with what the lock names, in an empty folder without a configuration file."""
    python = tmp_path / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    pip = (str(python), "-m", "pip", "install", "--quiet")
    _run(*pip, "--require-hashes", "--requirement", str(CHECKOUT / "requirements.lock"))
    _run(*pip, "--no-deps", str(archives[0]))
    assert "no broken requirements" in _run(str(python), "-m", "pip", "check").lower()
    empty, port = tmp_path / "empty", free_port()
    empty.mkdir()
    settings = {"XDG_STATE_HOME": str(tmp_path / "home"), "VCPD_DAEMON__STATE_DIR": str(tmp_path / "state")}
    with _daemon([str(python.with_name("vcpd")), "run"], empty, VCPD_WEB__PORT=str(port), **settings):
        _await_page(port)
    assert not list(empty.iterdir())


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_container_scripts_build_a_system_that_runs(source: Path, tmp_path: Path) -> None:
    """The steps of the Containerfile in a root made by debootstrap; the daemon is not root."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    root, port = tmp_path / "root", free_port()
    packages = "--include=python3,python3-dev,python3-venv,ca-certificates"  # no compiler
    _run("debootstrap", "--variant=minbase", packages, DEBIAN, str(root))
    shutil.copytree(source, root / "source")
    _share_package_index(root)
    with _mounted(root):
        _run("chroot", str(root), "sh", "/source/systemd/container/prepare.sh")
        _run("chroot", str(root), "sh", "/source/systemd/container/build.sh", "/source", "/opt/vcpd")
        run = [
            "chroot",
            "--userspec=vcpd:vcpd",
            str(root),
            "/usr/bin/tini",
            "-g",
            "--",
            "/opt/vcpd/bin/vcpd",
            "run",
        ]
        with _daemon(
            run, tmp_path, VCPD_WEB__PORT=str(port), HOME="/var/lib/vcpd", XDG_STATE_HOME="/var/lib"
        ):
            _await_page(port)
            assert (root / "var/lib/vcpd/state/postgres/data").is_dir()


def _share_package_index(root: Path) -> None:
    """The root reaches the index as this machine does, by the same settings and certificates."""
    for path in (Path("/etc/pip.conf"), Path("/etc/resolv.conf"), Path("/etc/ssl/certs/ca-certificates.crt")):
        if path.exists():
            (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to("/"))


@contextmanager
def _mounted(root: Path) -> Iterator[None]:
    mounts = [("proc", "proc"), ("tmpfs", "dev/shm")]
    for kind, place in mounts:
        (root / place).mkdir(exist_ok=True)
        _run("mount", "-t", kind, kind, str(root / place))
    try:
        yield
    finally:
        for _, place in mounts:
            _run("umount", "--lazy", str(root / place))


@contextmanager
def _daemon(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def _await_page(port: int) -> None:
    """Until the daemon says that it is alive."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"no answer on port {port} within {READY_S:.0f} s")
