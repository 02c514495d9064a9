"""The notebooks: each runs from top to bottom, and what is stored is what a run gives.

`python tests/test_notebooks.py` executes them in full and stores them with their outputs;
do so after changing one.
"""

import ast
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[notebook]'")
nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[notebook]'")
pytest.importorskip("ipykernel", reason="pip install -e '.[notebook]'")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 600_000
SECONDS_FOR_A_CELL = 300

#: What the tests put in place of the cell with the tag `settings`.
SMALL_SETTINGS = {
    "01_quickstart": {
        "CLIPS_PER_CLASS": {"train": 3, "validation": 1, "test": 1},
        "NUM_FRAMES": 6,
        "EPOCHS": 6,
        "SEED": 0,
    },
}

#: Lines that TensorFlow and CUDA write while they start: no part of what a notebook shows.
LOG_LINE = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} |\d{4}-\d\d-\d\d |To enable"
)


def execute(notebook, seconds_for_a_cell=None):
    """Runs all cells in a new kernel, in an empty folder; outputs go into the notebook."""
    # The kernel finds this checkout, and pictures go into the notebook, not to conftest's Agg.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=seconds_for_a_cell,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def settings_cells(notebook):
    return [cell for cell in code_cells(notebook) if "settings" in cell.metadata.get("tags", [])]


def names_set_in(source):
    return {target.id for line in ast.parse(source).body for target in line.targets}


def shown(outputs):
    """The outputs without those of progress bars and without the logs of a start."""
    return [output for output in outputs if not (is_progress_bar(output) or is_log(output))]


def is_progress_bar(output):
    data = output.get("data", {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return True
    # Without ipywidgets, rich leaves an empty element.
    return "text/html" in data and not re.sub(r"<[^>]*>", "", data["text/html"]).strip()


def is_log(output):
    if output.output_type != "stream" or output.name != "stderr":
        return False
    return all(LOG_LINE.match(line) for line in output.text.splitlines() if line)


def kinds(outputs):
    """What a cell shows, without the numbers in it: streams by name, displays by type."""
    return {
        kind
        for output in shown(outputs)
        for kind in ([output.name] if output.output_type == "stream" else output.get("data", {}))
    }


def store(path):
    """Executes a notebook as it is and writes it back, clean."""
    notebook = nbformat.read(path, as_version=4)
    execute(notebook)
    for cell in code_cells(notebook):
        cell.outputs = shown(cell.outputs)
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def stored(path):
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == set(SMALL_SETTINGS)


def test_notebook_runs_from_top_to_bottom_and_shows_what_is_stored(path, stored):
    notebook = nbformat.read(path, as_version=4)
    (cell,) = settings_cells(notebook)
    small = SMALL_SETTINGS[path.stem]
    assert names_set_in(cell.source) == set(small)
    cell.source = "\n".join(f"{name} = {value!r}" for name, value in small.items())
    execute(notebook, SECONDS_FOR_A_CELL)  # raises with the cell and its traceback
    for fresh, old in zip(code_cells(notebook), code_cells(stored), strict=True):
        assert kinds(fresh.outputs) == kinds(old.outputs), fresh.source


def test_stored_notebook_was_run_once_from_top_to_bottom(stored):
    counts = [cell.execution_count for cell in code_cells(stored)]
    assert counts == list(range(1, len(counts) + 1))
    without_output = [cell for cell in code_cells(stored) if not cell.outputs]
    assert without_output == settings_cells(stored)


def test_stored_notebook_shows_pictures_and_no_errors(stored):
    outputs = [output for cell in code_cells(stored) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert [output for output in outputs if is_progress_bar(output)] == []
    assert any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in outputs)


def test_stored_notebook_is_small_and_says_nothing_of_the_machine(path, stored):
    assert path.stat().st_size < MOST_BYTES
    nbformat.validate(stored)
    assert all("execution" not in cell.metadata for cell in stored.cells)
    for cell in code_cells(stored):
        for output in cell.outputs:
            texts = [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
            assert not re.search(r"/(tmp|home|root|work|Users|var)/|[A-Z]:\\", "".join(texts))


def test_first_cell_says_what_one_needs(stored):
    first = stored.cells[0]
    assert first.cell_type == "markdown"
    for word in ("# ", "pip install", "minutes", "GPU"):
        assert word in first.source


if __name__ == "__main__":
    for each in [Path(name) for name in sys.argv[1:]] or NOTEBOOKS:
        print(f"Executing {each.name} in full; this takes some minutes.")
        store(each)
