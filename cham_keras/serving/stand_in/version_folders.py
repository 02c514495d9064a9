"""The versions in a model's folder, as a model server finds them."""

from pathlib import Path


def version_folders(base: Path) -> dict[int, Path]:
    """The folders of versions in a base folder: those whose names are numbers.

    Args:
        base: the model's folder. Where it is missing, there are none.

    Returns:
        folders by number, in no order.
    """
    try:
        entries = list(base.iterdir())
    except OSError:
        return {}
    # isdecimal alone takes digits of other scripts, too.
    return {
        int(entry.name): entry
        for entry in entries
        if entry.name.isascii() and entry.name.isdecimal() and entry.is_dir()
    }


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Names, sizes and times of all files in a folder: another one where any file has changed."""
    found = set()
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue  # it is being copied or removed
        found.add((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return frozenset(found)
