"""From a run to ONNX files, one for each signature.

Comes in: a run. Goes out: `FILE.onnx` for clips, `FILE-step.onnx` for one frame of a stream,
and `FILE-initial-states.onnx` or `FILE-start.onnx` for the states that a stream begins with.
`cham export --format onnx` calls it.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.export.clip_signature import SIGNATURE
from cham_keras.export.description import describe_run, description_as_json
from cham_keras.export.inference import inference_model
from cham_keras.export.other_formats.agreement import Arrays, CheckedFiles, check_agreement
from cham_keras.export.other_formats.frozen_signatures import FrozenSignature, frozen_signatures
from cham_keras.export.other_formats.required_packages import require_packages, require_suffix
from cham_keras.export.signatures import can_stream
from cham_keras.files import replacing_file
from cham_keras.runs import Run

#: Version of ONNX's operations, of early 2023: newer runtimes run it too.
OPSET = 18

#: A graph of ONNX has one name for one tensor, so states that come out have another name.
NEW_STATE_PREFIX = "next_"

#: Where a file's metadata hold its description.
DESCRIPTION_KEY = "cham.json"


def export_onnx(run: Run, out: Path, *, streaming: bool = True) -> CheckedFiles:
    """Writes a run as ONNX files, which are compared with the Keras model before they appear.

    Inputs and outputs are those of `frozen_signatures`, with batch and time free; new states
    come out as `next_h1` and so on. The metadata hold `cham.json`: classes, and how videos
    become features. Nothing in the graph checks the lengths.

    Args:
        run: a finished run.
        out: the file for clips; the others lie beside it.
        streaming: whether the files for streams are written too; a model without states has
            none.

    Returns:
        the files and the largest difference.

    Raises:
        FileNotFoundError: the run has no model.
        ValueError: the packages of the extra `onnx` are missing, `out` does not end with
            `.onnx`, or Keras does not run on TensorFlow.
        ParityError: ONNX Runtime gives other scores.
    """
    require_packages("onnx", "onnx", "onnxruntime", "tf2onnx")
    out = Path(out)
    require_suffix(out, ".onnx")
    model = inference_model(run)
    has_states = can_stream(run, model)
    signatures = frozen_signatures(model, has_states=has_states, streaming=streaming)
    description = description_as_json(describe_run(run))
    files = {signature.name: _file_of(signature.name, out) for signature in signatures}
    with ExitStack() as stack:
        written = {}
        for signature in signatures:
            temporary = stack.enter_context(replacing_file(files[signature.name]))
            temporary.write_bytes(_converted(signature, description))
            written[signature.name] = temporary
        difference = check_agreement(run, "ONNX", files, OnnxFiles(written).answer)
    return CheckedFiles(files, difference)


class OnnxFiles:
    """Files of `export_onnx`, answered by ONNX Runtime on the CPU.

    Args:
        files: by signature.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        """Loads the files."""
        import onnxruntime

        self._sessions = {
            name: onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
            for name, file in files.items()
        }

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        """Calls a signature; states come out under the names that they go in by."""
        session = self._sessions[signature]
        names = [output.name.removeprefix(NEW_STATE_PREFIX) for output in session.get_outputs()]
        outputs: list[np.ndarray] = session.run(None, inputs)
        return dict(zip(names, outputs, strict=True))


def _file_of(signature: str, out: Path) -> Path:
    if signature == SIGNATURE:
        return out
    return out.with_stem(f"{out.stem}-{signature.replace('_', '-')}")


def _converted(signature: FrozenSignature, description: str) -> bytes:
    import onnx
    import tf2onnx

    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = signature.function(**dict(zip(signature.inputs, tensors, strict=True)))
        return {
            NEW_STATE_PREFIX + name if name in signature.inputs else name: output
            for name, output in outputs.items()
        }

    specs = list(signature.inputs.values())
    # Without autograph, which would take the functions apart and has nothing to change in them.
    traced = tf.function(function, input_signature=specs, autograph=False)
    with _silent("tf2onnx"):
        model, _ = tf2onnx.convert.from_function(traced, input_signature=specs, opset=OPSET)
    _give_loop_counters_a_shape(model.graph)
    model.doc_string = f"{signature.name} of a model of cham_keras"
    onnx.helper.set_model_props(model, {DESCRIPTION_KEY: description})
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        # What tf2onnx cannot convert it leaves as it is, and says so in its log only.
        reason = str(error).partition("\n")[0]
        raise RuntimeError(
            f"ONNX's own operations must do for the model. Its checker says: {reason}"
        ) from error
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _silent(name: str) -> Iterator[None]:
    # It warns of every shape that it does not know inside a loop, which changes nothing.
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _give_loop_counters_a_shape(graph: Any) -> None:
    # ONNX Runtime asks for it, and tf2onnx leaves it out where a branch stands inside the loop.
    for node in graph.node:
        if node.op_type == "Loop":
            (body,) = [attribute.g for attribute in node.attribute if attribute.name == "body"]
            # That of a scalar: without dimensions.
            body.input[0].type.tensor_type.shape.SetInParent()
