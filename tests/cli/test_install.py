"""`make install` and its kin in a scratch root: versions side by side, data left alone."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compiler import quick_compiler
from vcpd import __version__
from vcpd.cli.main import main

CHECKOUT = Path(__file__).resolve().parents[2]
NEEDED = (
    *("vcpd", "systemd", "docs", "Makefile", "pyproject.toml", "setup.py", "build_kernels.py"),
    *("README.md", "LICENSE", "config.toml"),
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A copy of the checkout, and the root it installs into."""

    source: Path
    root: Path

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        release = "$(RELEASE)/bin/python"
        settings = (
            f"DESTDIR={self.root}",
            f"PYTHON={sys.executable}",
            "SYSTEMD_VERSION=254",
            f"PIP_WHEEL={sys.executable} -m pip wheel --quiet --no-deps --no-build-isolation",
            "PIP_LOCKED=:",
            f"PIP_INSTALL={release} -m pip install --quiet --no-deps --no-index --no-compile",
        )
        command = ["make", "--no-print-directory", "-C", str(self.source), *settings, *words]
        variables = {**os.environ, **quick_compiler(self.source)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)

    @property
    def base(self) -> Path:
        return self.root / "opt/vcpd"

    @property
    def current(self) -> str:
        return str((self.base / "current").readlink())

    def pretend_version(self, version: str) -> None:
        """Another version, built already: building one is tried once."""
        text = (self.source / "vcpd/__init__.py").read_text(encoding="utf-8")
        (self.source / "vcpd/__init__.py").write_text(text.replace(__version__, version), encoding="utf-8")
        (self.base / "releases" / version).mkdir(parents=True)
        (self.base / "releases" / version / ".complete").touch()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """This version, installed for the whole module."""
    if shutil.which("make") is None:
        pytest.skip("no make here")
    folder = tmp_path_factory.mktemp("install")
    installation = Installation(folder / "source", folder / "root")
    installation.source.mkdir()
    for name in NEEDED:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, installation.source / name)
    done = installation.make("install")
    assert done.returncode == 0, done.stdout + done.stderr
    return installation


def test_a_version_is_put_beside_others_and_current_points_at_it(installed: Installation) -> None:
    assert installed.current == f"releases/{__version__}"
    release = installed.base / "current"
    said = subprocess.run(
        [release / "bin/python", "-m", "vcpd", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=installed.root,
        env={"PATH": os.environ["PATH"]},
    )
    assert said.stdout.strip() == f"vcpd {__version__}"
    assert list(release.glob("lib/python*/site-packages/vcpd/store/migrations/*.sql"))
    assert list(release.glob("lib/python*/site-packages/vcpd/store/queries/*.sql"))


def test_the_command_names_no_scratch_root(installed: Installation) -> None:
    """What was staged below DESTDIR runs where it is meant to be."""
    script = (installed.base / "current/bin/vcpd").read_text(encoding="utf-8")
    assert script.startswith(f"#!/opt/vcpd/releases/{__version__}/bin/python")
    link = installed.root / "usr/local/bin/vcpd"
    assert str(link.readlink()) == "/opt/vcpd/current/bin/vcpd"


def test_units_folders_and_a_good_configuration_are_in_place(
    installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    root = installed.root
    drop_ins = ("vcpd.service.d/notify-reload.conf", "vcpd.service.d/restart-steps.conf")
    for name in ("vcpd.service", "vcpd-alert@.service", *drop_ins):
        assert (root / "etc/systemd/system" / name).read_bytes() == (CHECKOUT / "systemd" / name).read_bytes()
    assert (root / "usr/local/share/man/man1/vcpd.1").exists()
    assert (root / "etc/credstore").stat().st_mode & 0o777 == 0o700
    assert main(["check-config", "--config", str(root / "etc/vcpd/config.toml")]) == 0
    assert 'state_dir = "/var/lib/vcpd"' in (root / "etc/vcpd/config.toml").read_text(encoding="utf-8")
    capsys.readouterr()


def test_upgrade_and_rollback_switch_and_uninstall_leaves_what_was_gathered(installed: Installation) -> None:
    config = installed.root / "etc/vcpd/config.toml"
    config.write_text("# mine\n", encoding="utf-8")
    data = installed.root / "var/lib/vcpd/store"
    data.mkdir(parents=True)
    (data / "bars").write_text("years", encoding="utf-8")
    installed.pretend_version("99.1")

    assert installed.make("upgrade").returncode == 0
    assert installed.current == "releases/99.1"
    assert installed.make("upgrade").returncode == 0
    assert str((installed.base / "previous").readlink()) == f"releases/{__version__}", (
        "not lost by a second time"
    )
    assert installed.make("rollback").returncode == 0
    assert installed.current == f"releases/{__version__}"
    assert installed.make("rollback").returncode == 0
    assert installed.current == "releases/99.1", "a rollback can be taken back"
    assert config.read_text(encoding="utf-8") == "# mine\n"

    assert installed.make("uninstall").returncode == 0
    assert not installed.base.exists()
    left = {path.name for path in installed.root.rglob("*") if path.is_file()}
    assert left == {"config.toml", "bars"}
    assert not (installed.root / "usr/local/bin/vcpd").is_symlink()


def test_nothing_installed_is_said_and_nothing_done(tmp_path: Path, installed: Installation) -> None:
    empty = Installation(installed.source, tmp_path / "root")
    for verb in ("upgrade", "rollback"):
        done = empty.make(verb)
        assert done.returncode != 0
        assert str(empty.base) in done.stdout
        assert not empty.base.exists()
