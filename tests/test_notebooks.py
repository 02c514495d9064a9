"""The notebooks: each runs from top to bottom, and what is stored is what a run gives.

`python tests/test_notebooks.py` executes them in full and stores them with their outputs;
do so after changing one. With `--check` it stores nothing, and says where a full run shows
something else than what is stored: other words are a fault, other numbers are listed (and
other words where scores decide on them, in cells with the tag `words-vary`). Files named behind
it are the only ones that are executed.
"""

import argparse
import ast
import os
import re
import tempfile
import time
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
    "02_layers_in_your_own_model": {
        "NUM_CLIPS": {"train": 64, "test": 32},
        "NUM_FRAMES": 10,
        "EPOCHS": 2,
        "SEED": 0,
    },
    "03_tfrecord_pipeline": {
        "CLIPS_PER_CLASS": {"train": 4, "validation": 1, "test": 1},
        "CLIPS_PER_SHARD": 12,
        "NUM_FRAMES": 8,
        "SPEED_CLIPS": 8,
        "SEED": 0,
    },
    "04_train_and_compare": {
        "CLIPS_PER_CLASS": {"train": 4, "validation": 1, "test": 2},
        "NUM_FRAMES": 6,
        "EPOCHS": 2,
        "SEED": 0,
    },
    "05_tune": {
        "CLIPS_PER_CLASS": {"train": 2, "validation": 1, "test": 1},
        "NUM_FRAMES": 4,
        "EPOCHS": 1,
        "TRIALS": 2,
        "SEED": 0,
    },
    "06_export_and_serve": {
        "CLIPS_PER_CLASS": {"train": 2, "validation": 1, "test": 1},
        "NUM_FRAMES": 12,
        "EPOCHS": 1,
        "SEED": 0,
    },
    "07_attention": {
        "CLIPS_PER_CLASS": {"train": 3, "validation": 1, "test": 1},
        "EPOCHS": 1,
        "NUM_SHUFFLES": 1,
        "REMOVAL_POINTS": 2,
        "SEED": 0,
    },
}

#: A number as notebooks print it: 0.25, 1,024, 2e-05, 3.15.1.
NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")

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


def words_vary(cell):
    """Whether scores decide on the words that a cell shows, such as which method is better."""
    return "words-vary" in cell.metadata.get("tags", [])


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


def text_of(outputs):
    """What a cell prints and the text of what it displays, pictures left out."""
    texts = []
    for output in shown(outputs):
        data = output.get("data", {})
        texts.append(output.text if output.output_type == "stream" else _text_of_display(data))
    return "\n".join(texts)


def _text_of_display(data):
    if any(kind.startswith("image/") for kind in data):
        return ""
    return data.get("text/markdown", data.get("text/plain", ""))


def numbers_in(text):
    return NUMBER.findall(text)


def without_numbers(text):
    """A text with one mark in the place of numbers that follow each other, on one line."""
    masked = " ".join(NUMBER.sub(" # ", text).split())
    return re.sub(r"#([\s,:()\[\]|-]*#)*", "#", masked)


def words_in(text):
    """The words of a text, each once: a run on less data may print fewer lines of a kind."""
    return set(re.findall(r"[^\W\d_]{2,}", NUMBER.sub(" ", text)))


def differences(fresh, stored):
    """Yields (whether it is a fault, sentence) for each cell that shows something else."""
    pairs = zip(code_cells(fresh), code_cells(stored), strict=True)
    for number, (new, old) in enumerate(pairs, start=1):
        texts = text_of(new.outputs), text_of(old.outputs)
        words = [without_numbers(text) for text in texts]
        if kinds(new.outputs) != kinds(old.outputs) or words[0] != words[1]:
            yield (
                not words_vary(new),
                f"[{number}] now shows {words[0]!r}, and stored is {words[1]!r}",
            )
        elif texts[0] != texts[1]:
            found = [" ".join(numbers_in(text)) for text in texts]
            yield False, f"[{number}] other numbers: {found[0]}; stored are {found[1]}"


def check(path):
    """Executes a notebook in full; prints what differs from what is stored, and counts faults."""
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    start = time.monotonic()
    execute(fresh)
    seconds = time.monotonic() - start
    found = list(differences(fresh, stored))
    for _, sentence in found:
        print(f"  {sentence}")
    faults = sum(is_fault for is_fault, _ in found)
    may_change = len(found) - faults
    print(f"  {seconds:.0f} s; {faults} cell(s) are at fault, {may_change} show what may change.")
    return faults


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
        if not words_vary(fresh):
            assert words_in(text_of(fresh.outputs)) == words_in(text_of(old.outputs)), fresh.source


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


def test_a_check_tells_other_words_from_other_numbers():
    def notebook(text):
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs)])

    stored = notebook("lengths [9 8] of 2 clips: 81.2% right, 1.5e-07 s")
    assert (
        list(differences(notebook("lengths [9 8] of 2 clips: 81.2% right, 1.5e-07 s"), stored))
        == []
    )
    ((is_fault, _),) = differences(
        notebook("lengths [9 7 8] of 3 clips: 9% right, 2e-08 s"), stored
    )
    assert not is_fault
    for text in ("lengths [9 8] of 2 clips: 81.2% wrong, 1.5e-07 s", ""):
        ((is_fault, sentence),) = differences(notebook(text), stored)
        assert is_fault
        assert sentence.startswith("[1] now shows")
    stored.cells[0].metadata["tags"] = ["words-vary"]
    other = notebook("lengths [9 8] of 2 clips: 81.2% wrong, 1.5e-07 s")
    other.cells[0].metadata["tags"] = ["words-vary"]
    ((is_fault, sentence),) = differences(other, stored)
    assert not is_fault
    assert sentence.startswith("[1] now shows")


def main():
    parser = argparse.ArgumentParser(description="Executes notebooks in full, and stores them.")
    parser.add_argument("--check", action="store_true", help="compare with what is stored instead")
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS)
    chosen = parser.parse_args()
    faults = 0
    for path in chosen.notebooks:
        print(f"Executing {path.name} in full; this takes some minutes.", flush=True)
        if chosen.check:
            faults += check(path)
        else:
            store(path)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
