"""The console command `cham`: one verb a stage, one file a verb.

Reads `--settings FILE` and `--debug` before the verb's own options, turns
errors into one sentence and an exit code: 0 well, 2 bad input, 1 anything else,
130 interrupted.
"""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import pydantic
from cyclopts import App, Parameter
from cyclopts.config import Dict

import cham_keras
from cham_keras.cli.ablate import ablate
from cham_keras.cli.baselines import baselines
from cham_keras.cli.benchmark import benchmark
from cham_keras.cli.demo import demo
from cham_keras.cli.evaluate import evaluate
from cham_keras.cli.explain import explain
from cham_keras.cli.export import export
from cham_keras.cli.extract import extract
from cham_keras.cli.finetune import finetune
from cham_keras.cli.import_hdf5 import import_hdf5
from cham_keras.cli.paired import paired
from cham_keras.cli.predict import predict
from cham_keras.cli.prepare import app as prepare_app
from cham_keras.cli.recipes import recipes
from cham_keras.cli.report import report
from cham_keras.cli.reproduce import compare, reproduce
from cham_keras.cli.resplit import resplit
from cham_keras.cli.score_attention import score_attention
from cham_keras.cli.serve import serve
from cham_keras.cli.train import train
from cham_keras.cli.trajectories import trajectories
from cham_keras.cli.tune import tune
from cham_keras.cli.verify import verify
from cham_keras.progress import stderr
from cham_keras.recipes import recipe_path
from cham_keras.runs.settings import RunSettings
from cham_keras.settings import read_settings, settings_to_dict, validation_sentence

#: The verbs that go on where they were interrupted.
RESUMABLE_VERBS = (
    "ablate",
    "compare",
    "extract",
    "finetune",
    "reproduce",
    "train",
    "trajectories",
    "tune",
)
#: The verbs that take `--settings FILE`, and the class that the file is checked against.
SETTINGS_OF_VERB = {
    "train": ("cham_keras.runs.settings", "RunSettings"),
    "finetune": ("cham_keras.finetuning.settings", "FinetuningSettings"),
    "tune": ("cham_keras.tuning.settings", "TuningSettings"),
    "benchmark": ("cham_keras.benchmark.settings", "BenchmarkSettings"),
    "trajectories": ("cham_keras.baselines.trajectories.settings", "TrajectorySettings"),
}

app = App(
    name="cham",
    help="Action recognition with convolutional hierarchical attention models.",
    version=lambda: cham_keras.__version__,
)
# In the order of the work. Each module imports what is heavy when its verb is called.
VERBS: tuple[Any, ...] = (
    demo,
    prepare_app,
    extract,
    import_hdf5,
    verify,
    resplit,
    recipes,
    train,
    finetune,
    evaluate,
    paired,
    baselines,
    trajectories,
    explain,
    score_attention,
    report,
    reproduce,
    compare,
    ablate,
    tune,
    export,
    predict,
    serve,
    benchmark,
)
for _position, _verb in enumerate(VERBS):
    if isinstance(_verb, App):
        _verb.sort_key = _position
        app.command(_verb)
    else:
        app.command(_verb, sort_key=_position)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    settings: str | None = None,
    debug: bool = False,
) -> object:
    """Run one verb.

    Parameters
    ----------
    settings
        TOML file with values for the verb's options, or the name of a recipe (`cham recipes`
        lists them); options on the command line win.
    debug
        Show the traceback of an error.
    """
    try:
        verb = tokens[0] if tokens else ""
        app.config = () if settings is None else (_settings_file(settings, verb),)
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        _print_error(f"cham: {_sentence(error)}")
        return 2
    except (KeyboardInterrupt, SystemExit) as stop:
        # Cyclopts makes of the one the other.
        if isinstance(stop, SystemExit) and stop.code != 130:
            raise
        goes_on = bool(tokens) and tokens[0] in RESUMABLE_VERBS
        then = " The same command goes on from here." if goes_on else ""
        stderr.print(f"Interrupted.{then}")
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        return report_error(error)


def report_error(error: Exception) -> int:
    """Prints one sentence on an error and returns the exit code that goes with it."""
    if isinstance(error, ValueError | OSError):
        _print_error(f"cham: {error}")
        return 2
    _print_error(f"cham: {type(error).__name__}: {error}")
    stderr.print("This is not an error of yours. `--debug` before the verb shows where.")
    return 1


def _sentence(error: cyclopts.CycloptsError) -> str:
    """What is wrong with the command line, in a sentence and with the next step."""
    if isinstance(error.__cause__, pydantic.ValidationError):
        # Settings whose names stand alone are those of the argument `*`.
        argument = getattr(error, "argument", None)
        within = argument.name.strip("-*") if argument is not None else ""
        return validation_sentence(RunSettings, error.__cause__, within)
    verb = error.command_chain[0] if error.command_chain else ""
    return f"{error} `{' '.join(('cham', verb)).strip()} --help` lists what there is."


def _print_error(text: str) -> None:
    # Not wrapped, so that a path can be copied.
    stderr.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def _settings_file(name: str, verb: str) -> Dict:
    if verb not in SETTINGS_OF_VERB:
        known = ", ".join(SETTINGS_OF_VERB)
        raise ValueError(f"`--settings` goes with {known}. Received: {verb or 'no verb'}.")
    module, class_name = SETTINGS_OF_VERB[verb]
    path = Path(name)
    if not path.exists() and path.suffix != ".toml":
        path = recipe_path(name)
    checked = read_settings(getattr(importlib.import_module(module), class_name), path)
    return Dict(settings_to_dict(checked), use_commands_as_keys=False, source=str(path))


def run_command(arguments: list[str]) -> int:
    """Runs `cham` with these arguments and returns its exit code.

    Args:
        arguments: what stands behind `cham` on the command line.
    """
    result = app.meta(arguments, exit_on_error=False, result_action="return_value")
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point of the console command."""
    sys.exit(run_command(sys.argv[1:]))
