"""The folder of a search, and that of a worker: whose it is, and who may write in it.

Comes in: a folder, and what is to be searched. Goes out: the folder, locked and with that noted, or
a refusal in a sentence. `tune` opens it before the first trial.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cham_keras.data import Manifest, read_manifest, write_manifest
from cham_keras.files import locked_folder, replacing_file
from cham_keras.settings import read_settings, write_settings
from cham_keras.tuning.settings import SearchSettings

SEARCH_FILE = "search.toml"
RUNS_FOLDER = "runs"
BOOKS_FOLDER = "keras_tuner"

#: Beside the runs: which search they are of.
_MARK_FILE = "search-id"


@contextmanager
def opened_search_folder(out: Path, plan: SearchSettings, manifest: Manifest) -> Iterator[None]:
    """Notes in a new folder what is searched, and keeps other programs out within its block.

    Args:
        out: the folder; nothing is written where it is refused.
        plan: what is searched.
        manifest: of the shards.

    Raises:
        NotADirectoryError: a file lies there.
        FileExistsError: the folder holds files and no search.
        ValueError: it holds a search with other settings or shards.
        BlockingIOError: another program searches in it.
    """
    _check(out, plan, manifest)
    with locked_folder(out, "search"):
        _check(out, plan, manifest)  # who had it before may have changed it
        if not (out / SEARCH_FILE).is_file():
            write_manifest(manifest, out)
            comment = "What this search tries. Another one: cham --settings FILE tune SHARDS --out"
            write_settings(out / SEARCH_FILE, plan, comment=comment)
        yield


def _check(out: Path, plan: SearchSettings, manifest: Manifest) -> None:
    require_folder(out)
    if not (out / SEARCH_FILE).is_file():
        # Workers that share the folder may have been quicker than their chief; what else was
        # killed while it noted what it searches.
        ours = {BOOKS_FOLDER, "manifest.json"}
        others = set(_names_in(out)) - ours
        if others:
            raise FileExistsError(
                f"The folder must be new, empty or hold a search. Received: {out}, with "
                f"{min(others)}. Name another with --out."
            )
        return
    before = read_manifest(out)
    same_shards = (before.classes, before.backbone, before.splits) == (
        manifest.classes,
        manifest.backbone,
        manifest.splits,
    )
    if read_settings(SearchSettings, out / SEARCH_FILE) != plan or not same_shards:
        raise ValueError(
            f"A search goes on with the settings and shards that it began with. {out} holds one "
            f"with other {'settings' if same_shards else 'shards'}. Name another folder."
        )


def require_folder(out: Path) -> None:
    """Refuses a file in the place of a folder.

    Raises:
        NotADirectoryError: there is one.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(
            f"`out` must be a folder. Received: {out}, a file. Name another with --out."
        )


def mark_runs(out: Path, search_id: str) -> None:
    """Notes which search the trials in a folder are of, before the first one begins.

    Args:
        out: a folder of a search or of a worker.
        search_id: the search's own; no other one has it.

    Raises:
        ValueError: it holds runs of another search.
    """
    runs = out / RUNS_FOLDER
    mark = runs / _MARK_FILE
    if mark.is_file() and mark.read_text() == search_id:
        return
    if _names_in(runs):
        raise ValueError(
            f"The trials of a search need a folder of their own. {runs} holds those of another "
            "search. Name a new folder with --out."
        )
    with replacing_file(mark) as temporary:
        temporary.write_text(search_id)


def _names_in(folder: Path) -> list[str]:
    """What lies in a folder, without what a kill left of a file."""
    paths = folder.iterdir() if folder.exists() else ()
    return [path.name for path in paths if not path.name.startswith(".")]
