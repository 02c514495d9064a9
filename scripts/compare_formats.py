"""Sizes and latencies of a run in every format that `cham export` writes, as a table.

    python scripts/compare_formats.py RUN [--repeats 100]

Needs the extras `onnx` and `litert`. Each runtime has as many threads as it takes by default;
features are drawn. The SavedModel is run by TensorFlow's C library, as in a model server.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cham_keras.export import export_saved_model
from cham_keras.export.other_formats import export_litert, export_onnx
from cham_keras.export.other_formats.litert_file import LiteRTFile
from cham_keras.export.other_formats.onnx_file import OnnxFiles
from cham_keras.progress import track
from cham_keras.runs import Run, open_run
from cham_keras.serving import ServedModel

Answer = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


def main() -> None:
    """Writes the files to a temporary folder, calls them in turn, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="a run folder with a model that has states")
    parser.add_argument("--repeats", type=int, default=100, help="calls (default: 100)")
    arguments = parser.parse_args()
    run = open_run(arguments.run)
    with tempfile.TemporaryDirectory() as folder:
        written = _written(run, Path(folder))
        calls = _calls(run, written["SavedModel"][1])
        seconds: dict[tuple[str, str], list[float]] = {}
        # In turn, so that a busy moment of the machine strikes all of them.
        for _ in track(range(arguments.repeats + 1), "calling the formats"):
            for name, (_, answer) in written.items():
                for signature, inputs in calls.items():
                    start = time.perf_counter()
                    answer(signature, inputs)
                    seconds.setdefault((name, signature), []).append(time.perf_counter() - start)
        print("| format | MB | clip, median ms | step, median ms |\n|---|---|---|---|")
        for name, (size, _) in written.items():
            # The first call prepares.
            times = [statistics.median(seconds[name, call][1:]) * 1000 for call in calls]
            print(f"| {name} | {size / 1e6:.1f} | {times[0]:.2f} | {times[1]:.3f} |")


def _written(run: Run, folder: Path) -> dict[str, tuple[int, Answer]]:
    """The bytes of each format and what calls it."""
    version = export_saved_model(run, folder / "served")
    onnx = export_onnx(run, folder / "model.onnx").files
    litert = export_litert(run, folder / "model.tflite").files["step"]
    weights = [version / "saved_model.pb", *(version / "variables").iterdir()]
    return {
        "SavedModel": (_size(weights), ServedModel(version).run),
        "ONNX": (_size(onnx.values()), OnnxFiles(onnx).answer),
        "LiteRT": (_size([litert]), LiteRTFile(litert).answer),
    }


def _size(files) -> int:
    return sum(file.stat().st_size for file in files)


def _calls(run: Run, answer: Answer) -> dict[str, dict[str, np.ndarray]]:
    """A clip, and a frame of a stream, by signature."""
    shape = (1, run.num_frames, *run.manifest.feature_shape)
    features = np.abs(np.random.default_rng(0).standard_normal(shape)).astype("float32")
    states = answer("initial_states", {"streams": np.zeros(1, "int32")})
    return {
        "serving_default": {"features": features, "lengths": np.array([run.num_frames], "int32")},
        "step": {"features": features[:, 0], **states},
    }


if __name__ == "__main__":
    main()
