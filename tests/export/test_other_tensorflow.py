"""An export answers the same in the TensorFlow of a model server, which is an older one.

`scripts/test_served_tensorflow.sh` makes an environment with that TensorFlow and sets
CHAM_SERVED_PYTHON to its Python. Without it, these tests are skipped.
"""

import os
import pickle
import subprocess

import numpy as np
import pytest
from export_testing import CLASSES, write_tiny_run

from cham_keras.data import load_backbone_from_spec
from cham_keras.export import export_saved_model
from cham_keras.export.parity import PROGRAMS, case_differences, drawn_batches
from cham_keras.export.parity_cases import parity_cases

PYTHON = os.environ.get("CHAM_SERVED_PYTHON")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="CHAM_SERVED_PYTHON names no Python: scripts/test_served_tensorflow.sh"
)


@pytest.mark.parametrize("name", ["cham", "conv_attention", "fc_attention"])
def test_every_signature_answers_as_keras_does(name, shards, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, name)
    version = export_saved_model(run, tmp_path / "export", frames=True)
    backbone = load_backbone_from_spec(run.manifest.backbone)
    cases = parity_cases(run, drawn_batches(run, seed=0), streams=True, backbone=backbone)
    requests = [(case.signature, case.inputs) for case in cases]
    found = answers(version, requests, tmp_path)
    differences = case_differences(cases, found["answers"], CLASSES)
    print(
        f"\nTensorFlow {found['version']}, {name}: {len(cases)} requests, "
        f"largest difference {max(differences.values()):.1e}"
    )
    frames = {key: value for key, value in differences.items() if key.startswith("jpeg_frames")}
    assert len(frames) >= 5 and max(frames.values()) < 1e-3
    assert max(value for key, value in differences.items() if key not in frames) < 1e-5
    assert {key.partition("/")[0] for key in differences} >= {
        *("serving_default", "predict_examples", "classify", "step"),
    }


def test_what_is_broken_is_refused_there_too(version, tmp_path):
    shape = (1, 2, 2, 2, 24)
    requests = [
        ("nothing", {}),
        ("serving_default", {"features": np.zeros(shape, "float32")}),
        (
            "serving_default",
            {"features": np.zeros(shape, "float32"), "lengths": np.array([3], "int32")},
        ),
        ("classify", {"inputs": np.array([b"\x01"], dtype=object)}),
    ]
    found = answers(version, requests, tmp_path)["answers"]
    assert [answer[0] for answer in found] == [5, 3, 3, 3]  # not found, invalid argument


def answers(version, requests, folder):
    files = [folder / "requests", folder / "answers"]
    files[0].write_bytes(pickle.dumps(requests))
    program = PROGRAMS["TensorFlow's C library"]
    subprocess.run([PYTHON, "-P", program, version, *files], check=True)
    return pickle.loads(files[1].read_bytes())
