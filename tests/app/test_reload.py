"""Which sections change while the daemon runs is declared beside their settings."""

import msgspec
import pytest

from vcpd.app.reload import needs_restart, restart_sections
from vcpd.config import Configuration
from vcpd.schedule.policy import JobPolicy

SECTIONS = {field.name: field.type for field in msgspec.structs.fields(Configuration)}


@pytest.mark.parametrize("name", sorted(SECTIONS.keys() - {"jobs", "markets"}))
def test_every_section_declares_whether_it_is_reloadable(name: str) -> None:
    """On its own struct: an inherited or forgotten declaration would be nobody's decision."""
    assert isinstance(vars(SECTIONS[name]).get("reloadable"), bool)


def test_jobs_declare_it_on_their_policy() -> None:
    assert JobPolicy.reloadable is True


def test_what_binds_addresses_files_or_accounts_needs_a_restart() -> None:
    assert set(restart_sections()) == {"daemon", "sandbox", "kite", "bhavcopy", "markets", "store", "web"}


def test_a_changed_section_is_named_only_if_it_needs_a_restart() -> None:
    running = Configuration()
    wanted = msgspec.structs.replace(
        running,
        web=msgspec.structs.replace(running.web, port=9_999),
        workers=msgspec.structs.replace(running.workers, chunk_rows=33),
        log=msgspec.structs.replace(running.log, level="debug", sink="stderr"),
    )
    assert needs_restart(wanted, running) == ("web", "log.sink")
