"""Imports point one way: the table of docs/map.md, held against the import statements."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cham_keras"
MODULES = sorted(PACKAGE.rglob("*.py"))

TOOLS = {"paths", "files", "settings", "progress", "process_memory"}
MODEL_PARTS = {"layers", "losses", "metrics", "models"}
RUNS_AND_ABOVE = {"runs", "data"} | MODEL_PARTS | TOOLS
STAGES = {"training", "finetuning", "evaluation", "attention", "export", "tuning"}

#: Who may import whom inside the package; the rows of docs/map.md.
MAY_IMPORT = {
    "layers": set(),
    "losses": set(),
    "metrics": {"losses"},  # one row of the map
    "models": {"layers"},
    "paths": set(),
    "files": TOOLS,
    "settings": TOOLS,
    "progress": TOOLS,
    "process_memory": TOOLS,
    "data": TOOLS,
    "runs": {"data", "models", "settings", "files", "paths"},
    "recipes": RUNS_AND_ABOVE,
    "training": RUNS_AND_ABOVE,
    "evaluation": RUNS_AND_ABOVE,
    "finetuning": RUNS_AND_ABOVE | {"training", "evaluation"},
    "attention": RUNS_AND_ABOVE | {"evaluation"},
    "serving": TOOLS,
    "export": RUNS_AND_ABOVE | {"serving"},
    "tuning": RUNS_AND_ABOVE | {"training"},
    "baselines": RUNS_AND_ABOVE | {"evaluation"},
    "reproduce": RUNS_AND_ABOVE | {"training", "finetuning", "evaluation", "baselines", "recipes"},
    "report": RUNS_AND_ABOVE | {"evaluation", "baselines", "attention", "reproduce"},
    "ablation": RUNS_AND_ABOVE | {"training", "evaluation", "recipes"},
    "demo": RUNS_AND_ABOVE | STAGES | {"baselines"},
    "benchmark": RUNS_AND_ABOVE,
    "cli": RUNS_AND_ABOVE
    | STAGES
    | {"demo", "benchmark", "recipes", "reproduce", "baselines", "ablation", "report", "serving"},
    # The package's own __init__: what a saved model needs, and the command's quiet start.
    "__init__": MODEL_PARTS | {"cli"},
}

#: What the parts that make up a model may import from outside, at the top of a module.
OUTSIDE_OF_MODELS = {"keras", "numpy"}
#: Modules that may import the backend's own loop inside a function, and from where.
LAZY_BACKENDS = {"cham_keras/layers/recurrence.py": {"jax", "tensorflow", "torch"}}
#: What must not be needed by whoever uses the layers only.
NOT_FOR_LAYERS = ["av", "cyclopts", "keras_tuner", "matplotlib", "pydantic", "rich"]
NOT_FOR_LAYERS += ["tensorflow", "tensorflow_io"]


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def place_of(module: Path) -> str:
    """The row of the table that a module belongs to."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST, skip_functions: bool = False) -> set[str]:
    """Dotted names that are imported, as far as the import statements tell.

    `from a import b` counts as `a.b`: b may be a module, and if it is not, the
    first parts of the name are what matters.
    """
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{a.name}" for a in node.names}
        elif not (skip_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            found |= imports_of(node, skip_functions)
    return found


def parse(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def test_table_has_the_places_of_the_map():
    table = (ROOT / "docs" / "map.md").read_text(encoding="utf-8").split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    places = {
        name.rstrip("/").removesuffix(".py")
        for row in rows
        for name in re.findall(r"`(\w+/|\w+\.py)`", row)
    }
    assert places == set(MAY_IMPORT) - {"__init__"}


def test_every_module_stands_in_the_table():
    assert {place_of(module) for module in MODULES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_inside_the_package_follow_the_table(module):
    place = place_of(module)
    for name in imports_of(parse(module)):
        assert not name.startswith("."), f"{name_of(module)}: write imports in full ({name})"
        first, *rest = name.split(".")
        if first != "cham_keras":
            continue
        # Importing the package itself is importing what its __init__ imports.
        imported = {rest[0]} if rest and rest[0] in MAY_IMPORT else MODEL_PARTS
        allowed = MAY_IMPORT[place] | {place}
        if imported == MODEL_PARTS and place not in MODEL_PARTS:
            continue  # it is loaded anyway, before any module of the package
        assert imported <= allowed, (
            f"{name_of(module)} imports {name}, but {place} may import "
            f"{sorted(MAY_IMPORT[place])} only. Move the code, or change the table here and "
            "in docs/map.md."
        )


@pytest.mark.parametrize(
    "module", [module for module in MODULES if place_of(module) in MODEL_PARTS], ids=name_of
)
def test_model_parts_need_keras_and_numpy_only(module):
    tree = parse(module)
    known = OUTSIDE_OF_MODELS | set(sys.stdlib_module_names) | {"cham_keras"}
    at_the_top = {name.split(".")[0] for name in imports_of(tree, skip_functions=True)}
    anywhere = {name.split(".")[0] for name in imports_of(tree)}
    assert at_the_top <= known
    assert anywhere <= known | LAZY_BACKENDS.get(name_of(module), set())


@pytest.mark.parametrize(
    "module", [module for module in MODULES if place_of(module) == "serving"], ids=name_of
)
def test_what_serves_a_model_needs_of_tensorflow_its_messages_only(module):
    found = {name for name in imports_of(parse(module)) if name.startswith(("keras", "tensorflow"))}
    assert all(name.startswith(("tensorflow.core.", "tensorflow_serving.")) for name in found)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nothing_reaches_into_the_private_part_of_keras(module):
    tree = parse(module)
    assert not [name for name in imports_of(tree) if name.startswith("keras.src")]
    dotted = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert not [name for name in dotted if name.startswith("keras.src")]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_assert_stands_in_the_package(module):
    # Python leaves asserts out under -O; a check must raise an error that says what to do.
    lines = [node.lineno for node in ast.walk(parse(module)) if isinstance(node, ast.Assert)]
    assert not lines


def test_layers_and_models_load_with_keras_alone():
    program = f"""
import keras, sys

blocked = {NOT_FOR_LAYERS!r}
# None in sys.modules makes an import fail, also of what Keras itself has loaded by now.
for name in blocked + [name for name in sys.modules if name.split(".")[0] in blocked]:
    sys.modules[name] = None
import cham_keras
print(cham_keras.layers.ConvAttentionLSTMCell(filters=3).filters, cham_keras.models.cham.__name__)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "3 cham\n", run.stderr
