"""Archives of a data set become folders: zip by Python, RAR by a tool of the user's.

RAR is a closed format, and no Python package reads it without such a tool.
`hmdb51.py` and `ucf101.py` call this.
"""

import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cham_keras.files import replacing_folder
from cham_keras.progress import track

#: Tool -> its arguments. The first that is installed and succeeds does the work.
RAR_TOOLS = {
    "unrar": ("x", "-y", "-idq", "{archive}", "{folder}/"),
    "unar": (
        "-quiet",
        "-force-overwrite",
        "-no-directory",
        "-output-directory",
        "{folder}",
        "{archive}",
    ),
    "bsdtar": ("-x", "-f", "{archive}", "-C", "{folder}"),
    "7zz": ("x", "-y", "-bd", "-o{folder}", "{archive}"),
    "7z": ("x", "-y", "-bd", "-o{folder}", "{archive}"),
}
ARCHIVE_SUFFIXES = (".rar", ".zip")
_CHARACTERS_OF_OUTPUT_SHOWN = 300


def extract_archive(archive: Path, folder: Path) -> None:
    """Extracts one archive.

    Args:
        archive: a `.zip` or `.rar` file.
        folder: an existing folder; what the archive holds is written into it.

    Raises:
        FileNotFoundError: there is no such archive, or no tool that reads RAR.
        ValueError: the archive cannot be read; the message has what each tool said.

    Example:
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "lists.zip", "w") as file:
    ...     file.writestr("lists/a.txt", "1")
    >>> extract_archive(folder / "lists.zip", folder)
    >>> (folder / "lists" / "a.txt").read_text()
    '1'
    """
    if not archive.is_file():
        raise FileNotFoundError(f"There is no archive {archive}.")
    if archive.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{archive} must be a zip archive. It cannot be read: {error}.") from (
                error
            )
    else:
        _extract_rar(archive, folder)


def extract_nested(archives: Sequence[Path], folder: Path) -> None:
    """Extracts archives and the RAR archives in them, all or nothing.

    Args:
        archives: the files.
        folder: what to make; it must be new or empty.

    Raises:
        FileExistsError: `folder` holds files.
        FileNotFoundError: an archive or a tool is missing.
        ValueError: an archive cannot be read.
    """
    with replacing_folder(folder) as temporary:
        for archive in track(archives, "Extracting archives"):
            extract_archive(archive, temporary)
        if inner := sorted(temporary.rglob("*.rar")):
            for archive in track(inner, "Extracting inner archives"):
                extract_archive(archive, archive.parent)
                archive.unlink()


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Yields the folder itself, or, of an archive, a temporary folder with what it holds.

    Raises:
        FileNotFoundError: `path`, or a tool that reads it, does not exist.
        ValueError: the archive cannot be read.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cham-lists-") as folder:
        extract_archive(path, Path(folder))
        yield Path(folder)


def _extract_rar(archive: Path, folder: Path) -> None:
    said = []
    for tool, arguments in RAR_TOOLS.items():
        program = shutil.which(tool)
        if program is None:
            continue
        # A list of arguments and no shell: names hold blanks and brackets. No standard input:
        # a tool that asks for a password would wait for ever.
        run = subprocess.run(
            [program, *(a.format(archive=archive, folder=folder) for a in arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if run.returncode == 0:
            return
        output = " ".join(run.stdout.split())[-_CHARACTERS_OF_OUTPUT_SHOWN:]
        said.append(f"{tool} ended with code {run.returncode}: {output or 'no message'}")
    if not said:
        raise FileNotFoundError(
            f"{archive} is a RAR archive, and none of the tools that read it is installed: "
            f"{', '.join(RAR_TOOLS)}. Install one, or extract the archive yourself and name the "
            "folder."
        )
    raise ValueError(f"{archive} cannot be read as a RAR archive. {'; '.join(said)}.")
