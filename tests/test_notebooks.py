"""The notebooks of the documentation run from the first cell to the last, on the simulated market."""

from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
CELL_TIMEOUT_S = 180


def read(path: Path) -> Any:
    """The notebook in this file."""
    import nbformat  # noqa: PLC0415 - slow to import, and every process collects all tests

    without_types: Any = nbformat.read
    return without_types(path, as_version=4)


def run_notebook(name: str) -> list[Any]:
    """The outputs of the code cells."""
    import nbclient  # noqa: PLC0415 - likewise

    notebook = read(NOTEBOOKS / f"{name}.ipynb")
    nbclient.NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def kinds(outputs: list[Any]) -> set[str]:
    return {kind for output in outputs for kind in output.get("data", {})}


@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore:::zmq", "ignore:::jupyter_client", "ignore:::traitlets")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("first_screen", "image/svg+xml"),
        ("what_became_of_setups", "text/html"),
        ("a_study_with_its_warning_signs", "text/html"),
    ],
)
def test_a_notebook_runs_and_shows_its_results(name: str, shown: str) -> None:
    cells = run_notebook(name)
    assert all(outputs for outputs in cells)
    assert shown in set().union(*map(kinds, cells))
    texts = [str(output) for outputs in cells for output in outputs]
    assert not [text for text in texts if "Warning" in text or "<progress" in text]  # the bar disappears


def test_each_notebook_is_kept_without_outputs() -> None:
    """Pictures of a run would hide that a cell no longer gives them."""
    found = sorted(NOTEBOOKS.glob("*.ipynb"))
    assert len(found) == 3
    for path in found:
        for cell in read(path).cells:
            assert not cell.get("outputs"), path
