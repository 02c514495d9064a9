"""From a run to a LiteRT (TensorFlow Lite) file with all signatures in it.

Comes in: a run. Goes out: `FILE.tflite`, by LiteRT's own operations alone, so that a device
needs no TensorFlow. `cham export --format litert` calls it.
"""

import tempfile
from pathlib import Path
from zipfile import ZipFile

import tensorflow as tf

from cham_keras.export.description import describe_run, description_as_json
from cham_keras.export.inference import inference_model
from cham_keras.export.other_formats.agreement import Arrays, CheckedFiles, check_agreement
from cham_keras.export.other_formats.frozen_signatures import FrozenSignature, frozen_signatures
from cham_keras.export.other_formats.required_packages import require_packages, require_suffix
from cham_keras.export.signatures import can_stream
from cham_keras.files import replacing_file
from cham_keras.runs import Run

#: What is appended to the file as a ZIP archive, as LiteRT's metadata are.
DESCRIPTION_MEMBER = "cham.json"
LABELS_MEMBER = "labels.txt"


def export_litert(run: Run, out: Path, *, streaming: bool = True) -> CheckedFiles:
    """Writes a run as a LiteRT file, which is compared with the Keras model before it appears.

    The signatures are those of `frozen_signatures`, with batch and time free; they share the
    weights. The file is a ZIP archive as well, with `labels.txt` (a class a line) and
    `cham.json` (how videos become features) in it. Nothing in the graph checks the lengths.

    Args:
        run: a finished run.
        out: the file.
        streaming: whether it has the signatures for streams too; a model without states has
            none.

    Returns:
        the file and the largest difference.

    Raises:
        FileNotFoundError: the run has no model.
        ValueError: the packages of the extra `litert` are missing, `out` does not end with
            `.tflite`, or Keras does not run on TensorFlow.
        RuntimeError: the model needs an operation that LiteRT does not have.
        ParityError: LiteRT gives other scores.
    """
    require_packages("litert", "ai_edge_litert.interpreter")
    out = Path(out)
    require_suffix(out, ".tflite")
    model = inference_model(run)
    has_states = can_stream(run, model)
    signatures = frozen_signatures(model, has_states=has_states, streaming=streaming)
    files = {signature.name: out for signature in signatures}
    with replacing_file(out) as temporary:
        temporary.write_bytes(_converted(signatures))
        with ZipFile(temporary, "a") as archive:
            archive.writestr(LABELS_MEMBER, "".join(f"{name}\n" for name in run.manifest.classes))
            archive.writestr(DESCRIPTION_MEMBER, description_as_json(describe_run(run)))
        difference = check_agreement(run, "LiteRT", files, LiteRTFile(temporary).answer)
    return CheckedFiles(files, difference)


class LiteRTFile:
    """A file of `export_litert`, answered by LiteRT's interpreter on the CPU.

    Args:
        file: the file.
    """

    def __init__(self, file: Path) -> None:
        """Loads the file."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(file))

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        """Calls a signature."""
        outputs: Arrays = self._interpreter.get_signature_runner(signature)(**inputs)
        return outputs


def _converted(signatures: list[FrozenSignature]) -> bytes:
    functions = {
        # Without autograph, which would take the functions apart and has nothing to change.
        signature.name: tf.function(signature.function, autograph=False).get_concrete_function(
            **signature.inputs
        )
        for signature in signatures
    }
    module = tf.Module()
    module.functions = list(functions.values())
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content: bytes = converter.convert()
        except Exception as error:  # of a class that TensorFlow does not show
            reason = str(error).partition("\n")[0]
            raise RuntimeError(
                f"LiteRT's own operations must do for the model. Its converter says: {reason}"
            ) from error
    return content
