"""The daemon's own look at the panel, when the panel is not what it should be."""

from datetime import date
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from vcpd.analysis.thresholds import Thresholds
from vcpd.app.panels import PanelReader
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.ports import PanelStore, Workers
from vcpd.store.panel_files import PanelFiles


def a_panel() -> Panel:
    return Panel(
        symbols=("NSE:INFY",),
        sessions=np.array(["2026-11-20"], "M8[D]"),
        values=np.ones((5, 1, 1)),
        provisional=np.zeros((1, 1), bool),
        index_close=np.ones(1),
        tick_size=np.array([0.05]),
        exclusions={},
    )


class Folder:
    """A PanelStore's look at a folder."""

    def __init__(self, files: PanelFiles) -> None:
        self.files = files

    async def current(self) -> PanelReference | None:
        return self.files.current()


@pytest.mark.parametrize("name", ["panel.json", "bars_by_symbol.npy", "index_close.npy"])
async def test_a_damaged_panel_is_no_end_of_the_daemon(tmp_path: Path, name: str) -> None:
    """A power cut may leave a file empty; what looks every second says so and goes on."""
    files = PanelFiles(tmp_path)
    reference = files.write(a_panel())
    (Path(reference.path) / name).write_bytes(b"")
    current = PanelReader(cast("PanelStore", Folder(files)))
    with pytest.raises(RetryableError, match="next collect"):
        await current.load()
    await current.load_if_any()
    files.write(a_panel())
    _, panel = await current.load()
    assert panel.symbols


async def test_a_day_before_the_first_bar_cannot_be_explained(tmp_path: Path) -> None:
    """Nobody is asked to judge it: the error names the day that was asked and the first that could be."""
    files = PanelFiles(tmp_path)
    files.write(a_panel())
    current = PanelReader(cast("PanelStore", Folder(files)))
    no_instrument = cast("Workers", None)
    with pytest.raises(BadInputError, match=r"begin on 2026-11-20, was 1999-01-01"):
        await current.explain(no_instrument, "NSE:INFY", date(1999, 1, 1), Thresholds())
