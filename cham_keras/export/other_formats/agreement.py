"""Converted = Keras: what a file's own runtime answers against what the Keras model says.

Comes in: a run and a function that asks the written files. Goes out: the largest difference,
or an error. `onnx_file` and `litert_file` ask before their files appear.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from cham_keras.export.clip_signature import SIGNATURE
from cham_keras.export.parity import TOLERANCE, ParityError, drawn_batches, output_differences
from cham_keras.export.parity_cases import Case, parity_cases
from cham_keras.export.streaming import STEP_SIGNATURE
from cham_keras.runs import Run

Arrays = dict[str, np.ndarray]

#: What a clip has of every step: on steps that are padding it means nothing.
_OF_STEPS = ("probabilities", "logits", "attention")


@dataclass(frozen=True)
class CheckedFiles:
    """What an export in another format has written.

    Attributes:
        files: the files by the signature that each has; one file may have all of them.
        largest_difference: of all outputs from the Keras model's, absolute, or as a share of
            the output's largest number where that is above one.
    """

    files: dict[str, Path]
    largest_difference: float


def check_agreement(
    run: Run,
    format_name: str,
    signatures: Collection[str],
    answer: Callable[[str, Arrays], Arrays],
) -> float:
    """Compares answers to drawn clips of several batch sizes and lengths with the Keras model's.

    Args:
        run: the run that the files were made of.
        format_name: what the format is called, for the error.
        signatures: names of the signatures that the files have.
        answer: from a signature's name and inputs to its outputs.

    Returns:
        the largest difference.

    Raises:
        ParityError: an output differs by more than 1e-5, is missing or is of another shape.
    """
    found: dict[str, list[float]] = {}
    # Other hardware rounds in another way, which is no fault of the file.
    with keras.device("cpu:0"):
        cases = list(_cases(run, signatures))
    for case in cases:
        expected, answered = _without_padding(case, answer(case.signature, case.inputs))
        differences = output_differences(expected, answered, run.manifest.classes)
        for name, difference in differences.items():
            found.setdefault(f"{case.signature}/{name}", []).append(difference)
    # np.max and not max: it passes on what is not a number.
    largest = {name: float(np.max(differences)) for name, differences in found.items()}
    worst = {name: value for name, value in largest.items() if not value <= TOLERANCE}
    if worst:
        told = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
        raise ParityError(
            f"The {format_name} file must give the scores of the run {run.folder} to "
            f"{TOLERANCE:.0e}. Received differences: {told}."
        )
    return max(largest.values())


def _cases(run: Run, signatures: Collection[str]) -> Iterator[Case]:
    # One call a batch: streams are taken of the first batch only.
    for batch in drawn_batches(run, seed=0):
        for case in parity_cases(run, [batch], streams=STEP_SIGNATURE in signatures, backbone=None):
            if case.signature in signatures:
                yield case


def _without_padding(case: Case, answered: Arrays) -> tuple[Arrays, Arrays]:
    """What must come out and what came out, on valid steps."""
    if case.signature != SIGNATURE:
        return case.expected, answered
    expected = {name: array for name, array in case.expected.items() if name != "top_scores"}
    num_steps = case.inputs["features"].shape[1]
    valid = np.arange(num_steps) < case.inputs["lengths"][:, None]  # (batch, time)

    def shortened(outputs: Arrays) -> Arrays:
        return {
            # (batch, time, ...) -> (valid steps, ...)
            name: array[valid] if name in _OF_STEPS and array.shape[:2] == valid.shape else array
            for name, array in outputs.items()
        }

    return shortened(expected), shortened(answered)
