"""The packages that a format needs, which are an extra of this one.

`onnx_file` and `litert_file` ask before they begin.
"""

import importlib
from pathlib import Path


def require_packages(extra: str, *packages: str) -> None:
    """Refuses to go on where the packages of an extra are missing.

    Args:
        extra: its name.
        packages: names of the modules to import.

    Raises:
        ValueError: one cannot be imported; says how to install it.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(
                f"The format {extra} needs packages that are not installed. "
                f"Install them: pip install 'cham-keras[{extra}]'. ({error})"
            ) from error


def require_suffix(out: Path, suffix: str) -> None:
    """Refuses a name for a file that does not end as the format's files do.

    Args:
        out: the file to write.
        suffix: with its dot.

    Raises:
        ValueError: it ends otherwise.
    """
    if out.suffix != suffix:
        raise ValueError(
            f"`out` must be a file with the suffix {suffix}. Received: {out}. "
            f"Name {out.with_suffix(suffix)}, for instance."
        )
