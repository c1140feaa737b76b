"""Logs of the parts that a verb uses: warnings only, on standard error, secrets masked."""

from vcpd.runtime import logs
from vcpd.runtime.masking import Masker
from vcpd.runtime.settings import LogSettings


def quiet_logs() -> None:
    """So that standard output holds what the verb prints and nothing else."""
    logs.configure(LogSettings(level="warning"), Masker())
