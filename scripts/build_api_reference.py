"""Makes pages of the public names from their docstrings: docs/api/index.html.

    pip install -e ".[docs]"
    python scripts/build_api_reference.py

A package's page holds the names of its `__all__`; all else is not public.
"""

import argparse
import importlib
import pkgutil
import shutil
import warnings
from pathlib import Path

try:
    import pdoc.docstrings
except ModuleNotFoundError as error:
    raise SystemExit('The pages are made by pdoc: pip install -e ".[docs]"') from error

import cham_keras

ROOT = Path(__file__).resolve().parents[1]


def public_packages() -> list[str]:
    """The packages that export names, and the two modules beside them that do."""
    modules = pkgutil.walk_packages(cham_keras.__path__, "cham_keras.")
    # The command line is documented by `cham --help`.
    packages = [m.name for m in modules if m.ispkg and not m.name.startswith("cham_keras.cli")]
    exporting = [name for name in packages if getattr(importlib.import_module(name), "__all__", ())]
    return sorted([*exporting, "cham_keras.losses", "cham_keras.metrics"])


def build(out: Path, packages: list[str]) -> None:
    """Writes the pages into a folder; one that is there is replaced."""
    pdoc.render.configure(
        docformat="google",
        footer_text=f"cham_keras {cham_keras.__version__}",
        show_source=True,
    )
    # Layers say apart what their call takes, as Keras's own do.
    pdoc.docstrings.GOOGLE_LIST_SECTIONS.append("Call arguments")
    shutil.rmtree(out, ignore_errors=True)
    with warnings.catch_warnings():
        # Annotations that pydantic makes have no name that could be linked.
        warnings.filterwarnings("ignore", message=".*PydanticDataclass")
        pdoc.pdoc(*packages, output_directory=out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "api")
    out = parser.parse_args().out
    build(out, public_packages())
    print(f"Written to {out / 'index.html'}.")
