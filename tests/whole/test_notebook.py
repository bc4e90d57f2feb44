from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

# The notebook's parameters, reduced: its two networks, three sizes of faces and every figure.
SHORTER = {
    "FACES = 1400": "FACES = 280",
    "(15, 36) if DATA else (3, 10)": "(1, 3)",
}
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "facial_expression_recognition.ipynb"


@pytest.mark.long
# Dependencies of Jupyter announce their changes by warnings.
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path, private_cache: Path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    parameters = next(cell for cell in notebook.cells if cell.cell_type == "code")
    for written, shorter in SHORTER.items():
        assert written in parameters.source
        parameters.source = parameters.source.replace(written, shorter)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "validation faces are recognised by the network read back" in printed
    assert "kept epoch" in printed
    assert sum("image/png" in o.get("data", {}) for cell in cells for o in cell.outputs) >= 8
    assert NOTEBOOK.stat().st_size < 1_000_000
