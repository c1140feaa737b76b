"""The units as systemd itself judges them, staged in a scratch root; and their agreement with the program."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.cli.bar_files import write_bars

UNITS = Path(__file__).resolve().parents[2] / "systemd"
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSURE = 1.5
DASK_UNITS = ("vcpd-dask-scheduler.service", "vcpd-dask-worker.service")
SKIPPED_CHECK = "POLARS_SKIP_CPU_CHECK"
NO_SUCH_PROTECTION = 77
# What systemd asks for with MemoryDenyWriteExecute=: PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN; it must hold.
DENYING = f"""
import ctypes, mmap
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:
    sys.exit({NO_SUCH_PROTECTION})
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    from vcpd.cli.main import main
    sys.exit(main())
sys.exit("memory was both written and executed")
"""
needs_systemd_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root as `make install` leaves it, without the drop-in that an older manager does not know."""
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, folder)
    for program in ("opt/vcpd/current/bin/vcpd", "opt/vcpd-dask/bin/dask", "bin/kill", "bin/sh"):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n", encoding="ascii")
        path.chmod(0o755)
    return tmp_path


def settings_of(name: str) -> list[tuple[str, str]]:
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return [(key, value) for key, value in pairs]


@needs_systemd_analyze
@pytest.mark.parametrize("unit", ["vcpd.service", "vcpd-alert@vcpd.service", *DASK_UNITS])
def test_systemd_finds_nothing_to_complain_about(root: Path, unit: str) -> None:
    judged = analyze("verify", f"--root={root}", "--man=no", "--recursive-errors=no", unit)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


@needs_systemd_analyze
@pytest.mark.parametrize("unit", ["vcpd.service", "vcpd-alert@.service", *DASK_UNITS])
def test_exposure_is_low(root: Path, unit: str) -> None:
    path = root / "etc/systemd/system" / unit
    judged = analyze("security", "--offline=true", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", judged.stdout)
    assert found is not None, judged.stderr
    assert float(found[1]) <= MOST_EXPOSURE


@pytest.mark.parametrize("unit", DASK_UNITS)
def test_each_variable_of_a_dask_unit_stands_in_its_file_of_settings(unit: str) -> None:
    """With these values Dask understands the command: every option is one that it knows."""
    lines = (UNITS / "dask.env").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    command = dict(settings_of(unit))["ExecStart"]
    names = set(re.findall(r"\$\{?(\w+)\}?", command))
    assert names <= values.keys()
    words = re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], command).split()
    known = subprocess.run(
        [sys.executable, "-m", "dask", words[1], "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert [word for word in words if word.startswith("--") and word not in known] == []


@pytest.mark.parametrize("service", ["scheduler", "worker"])
def test_the_compose_file_starts_what_the_unit_starts(service: str) -> None:
    """The same commands with the same variables, of the same file; only folders differ."""
    services = import_module("yaml").safe_load((UNITS / "dask-compose.yaml").read_text(encoding="utf-8"))[
        "services"
    ]
    unit = settings_of(f"vcpd-dask-{service}.service")
    words = [*services[service]["entrypoint"][2:], *services[service]["command"].split()]
    assert _without_folder(words) == _without_folder(dict(unit)["ExecStart"].split())
    measured = {value for key, value in unit if key == "Environment" and value.startswith("DASK_")}
    variables = services[service]["environment"].items()
    assert {f"{name}={value}" for name, value in variables if name.startswith("DASK_")} == measured


def _without_folder(words: list[str]) -> list[str]:
    """The program's name, its options and variables, without the value of --local-directory."""
    plain = [re.sub(r"[{}]", "", word) for word in words]
    kept = [word for before, word in zip(["", *plain], plain, strict=False) if before != "--local-directory"]
    return [Path(kept[0]).name, *kept[1:]]


def test_the_unit_speaks_the_protocol_of_the_program() -> None:
    """Notify with watchdog, HUP to reload, the exit codes that no restart mends, mixed killing."""
    unit = dict(settings_of("vcpd.service"))
    assert unit["Type"] == "notify"
    assert unit["WatchdogSec"]
    assert "-HUP" in unit["ExecReload"]
    assert unit["RestartPreventExitStatus"].split() == ["2", "78"]
    assert unit["KillMode"] == "mixed"
    assert unit["OnFailure"] == "vcpd-alert@%n.service"


def test_nothing_that_is_known_to_break_the_program_is_asked_for() -> None:
    """psutil needs all of /proc, and workers may lower their priority."""
    pairs = settings_of("vcpd.service")
    unit = dict(pairs)
    assert "ProcSubset" not in unit
    filters = " ".join(value for key, value in pairs if key == "SystemCallFilter")
    assert "@resources" not in filters


def test_no_memory_is_both_written_and_executed() -> None:
    pairs = settings_of("vcpd.service")
    assert ("MemoryDenyWriteExecute", "yes") in pairs
    assert ("Environment", f"{SKIPPED_CHECK}=1") in pairs


@pytest.mark.parametrize("command", [("screen",), ("chart", "AAA", "--output", "chart.png")])
def test_the_program_needs_no_memory_that_is_both(command: tuple[str, ...], tmp_path: Path) -> None:
    """Reading, judging and drawing, where the kernel refuses to make memory executable."""
    bars = write_bars(tmp_path / "bars.parquet")
    words = ["vcpd", command[0], *command[1:], "--bars", str(bars)]
    code = f"import sys; sys.argv = {words!r}\n{DENYING}"
    environment = {**os.environ, SKIPPED_CHECK: "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    if done.returncode == NO_SUCH_PROTECTION:
        pytest.skip("this kernel cannot refuse executable memory (Linux 6.3 and later can)")
    assert done.returncode == 0, done.stderr
    assert command[0] == "screen" or (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_the_reload_drop_in_changes_only_what_it_must() -> None:
    drop_in = configparser.ConfigParser(strict=True)
    drop_in.optionxform = str  # type: ignore[assignment,method-assign]
    drop_in.read(UNITS / "vcpd.service.d/notify-reload.conf", encoding="utf-8")
    assert dict(drop_in["Service"]) == {"Type": "notify-reload", "ReloadSignal": "SIGHUP", "ExecReload": ""}


def test_the_unit_is_never_given_up() -> None:
    """However long a database is away: restarts are not counted, in one file and in no drop-in."""
    unit = dict(settings_of("vcpd.service"))
    assert unit["StartLimitIntervalSec"] == "0"
    assert "StartLimitBurst" not in unit
    assert "RestartSteps" not in unit, "older managers warn of what they do not know"


def test_the_restart_drop_in_lets_the_pauses_grow_to_five_minutes() -> None:
    drop_in = configparser.ConfigParser(strict=True)
    drop_in.optionxform = str  # type: ignore[assignment,method-assign]
    drop_in.read(UNITS / "vcpd.service.d/restart-steps.conf", encoding="utf-8")
    assert dict(drop_in["Service"]) == {"RestartSteps": "6", "RestartMaxDelaySec": "5min"}
