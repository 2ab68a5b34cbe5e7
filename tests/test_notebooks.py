"""Every notebook runs from top to bottom, and the outputs that are stored hold no error."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
# What a newcomer reads first; the others run with `pytest -m slow`.
IN_EVERY_RUN = {"01_first_vae"}
PATHS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem in IN_EVERY_RUN else pytest.mark.slow) for path in PATHS],
)
def test_notebook(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    stored = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(output.output_type == "display_data" for output in stored), "stored without its pictures"
    assert not any(output.output_type == "error" for output in stored)
    # As a user would: without the settings that conftest makes for the tests.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}
    )
    client.execute(env=environment)
