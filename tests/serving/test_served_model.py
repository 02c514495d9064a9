"""Models run through TensorFlow's C library: arrays in and out, and what is refused."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from serving_testing import DTYPES, echo_inputs, texts, toy_inputs

from cham_keras.serving import ServedModel, StatusError
from cham_keras.serving.c_library import TensorFlowLibrary


def test_numbers_are_those_of_tensorflow(toy, toy_folder):
    inputs = toy_inputs(batch=3, time=5)
    expected = tf.saved_model.load(str(toy_folder)).signatures["serving_default"](
        **{name: tf.constant(array) for name, array in inputs.items()}
    )
    found = toy.run("serving_default", inputs)
    assert set(found) == set(expected) == {"sums", "plus", "label"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name].numpy())


def test_every_dtype_comes_back_as_it_was(toy):
    inputs = echo_inputs()
    found = toy.run("echo", inputs)
    for kind in DTYPES:
        assert found[f"out_{kind}"].dtype == np.dtype(kind)
        np.testing.assert_array_equal(found[f"out_{kind}"], inputs[f"in_{kind}"][::-1])


def test_strings_come_back_with_zero_bytes_and_at_any_length(toy):
    given = texts(b"", b"a\0b\0", b"\xff\xfe", "ä".encode(), b"x" * 100_000, b"y" * 23)
    found = toy.run("strings", {"text": given})
    assert found["same"].tolist() == given.tolist()
    assert found["length"].tolist() == [len(text) for text in given]


def test_an_empty_batch_gives_an_empty_batch(toy):
    found = toy.run("serving_default", toy_inputs(batch=0))
    assert {name: array.shape for name, array in found.items()} == {
        "sums": (0, 4),
        "plus": (0,),
        "label": (0,),
    }
    assert found["label"].dtype == object
    assert toy.run("strings", {"text": texts()})["same"].shape == (0,)


def test_arrays_that_are_not_contiguous_are_read_rightly(toy):
    wide = np.arange(24, dtype=np.float32).reshape(2, 12)
    np.testing.assert_array_equal(
        toy.run("single", {"x": wide[:, ::6]})["y"], wide[:, ::6] * np.float32(2)
    )


def test_only_wanted_outputs_are_given(toy):
    assert list(toy.run("serving_default", toy_inputs(), ["plus"])) == ["plus"]


def test_signatures_say_what_goes_in_and_out(toy):
    signature = toy.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.inputs["features"].shape == (None, None, 3)
    assert signature.inputs["lengths"].dtype_name == "int32"
    assert signature.outputs["label"].dtype_name == "string"
    assert toy.signatures["classify"].method_name == "tensorflow/serving/classify"
    assert not [name for name in toy.signatures if name.startswith("__")]


@pytest.mark.parametrize(
    ("signature", "change", "outputs", "code", "words"),
    [
        ("other", {}, None, 5, "no signature 'other'; it has classify, echo, "),
        ("serving_default", {}, ["foo"], 3, "no output 'foo'; it has label, plus, sums"),
        ("serving_default", {"lengths": None}, None, 3, "features, lengths. Received: features."),
        ("serving_default", {"more": np.zeros(1)}, None, 3, "Received: features, lengths, more."),
        (
            "serving_default",
            {"features": np.zeros((2, 4, 3))},
            None,
            3,
            "'features' of the signature serving_default must be float32. Received: float64.",
        ),
        (
            "serving_default",
            {"features": texts(b"a")},
            None,
            3,
            "must be float32. Received: string.",
        ),
        (
            "serving_default",
            {"features": np.zeros((2, 4, 5), np.float32)},
            None,
            3,
            "must have the shape [any, any, 3]. Received: [2, 4, 5].",
        ),
        (
            "serving_default",
            {"features": np.zeros((4, 3), np.float32)},
            None,
            3,
            "must have the shape [any, any, 3]. Received: [4, 3].",
        ),
        ("serving_default", {"lengths": np.zeros(3, np.int32)}, None, 3, "Incompatible shapes"),
    ],
)
def test_wrong_calls_are_refused_with_code_and_words(toy, signature, change, outputs, code, words):
    inputs = {name: a for name, a in {**toy_inputs(), **change}.items() if a is not None}
    with pytest.raises(StatusError) as refused:
        toy.run(signature, inputs, outputs)
    assert refused.value.code == code
    assert words in refused.value.message


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(StatusError, match="Could not find SavedModel") as refused:
        ServedModel(tmp_path, xla=True)
    assert refused.value.code == 5


def test_a_closed_model_says_so(own_copy):
    model = ServedModel(own_copy, xla=True)
    model.close()
    model.close()
    with pytest.raises(StatusError, match="closed") as refused:
        model.run("serving_default", toy_inputs())
    assert refused.value.code == 14


def test_threads_get_their_own_answers(toy):
    wrong = []

    def call(seed):
        for _ in range(40):
            x = np.full((1 + seed, 2), seed, np.float32)
            text = texts(*[b"%d" % seed] * (seed + 1))
            if not np.array_equal(toy.run("single", {"x": x})["y"], x * 2):
                wrong.append(seed)
            if toy.run("strings", {"text": text})["same"].tolist() != text.tolist():
                wrong.append(seed)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_library_says_its_version():
    assert TensorFlowLibrary(xla=True).version == tf.__version__


def test_a_function_compiled_by_xla_is_refused_where_xla_is_off(tmp_path):
    class Compiled(tf.Module):
        @tf.function(jit_compile=True, input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
        def serve(self, x):
            return {"y": x + 1}

    module = Compiled()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    model = ServedModel(tmp_path, xla=True)
    assert model.run("serving_default", {"x": np.float32([1, 2])})["y"].tolist() == [2, 3]
    # In a process of its own: XLA is off for all of it.
    program = """
import sys, numpy as np
from pathlib import Path
from cham_keras.serving import ServedModel, StatusError
model = ServedModel(Path(sys.argv[1]))
try:
    print(model.run("serving_default", {"x": np.float32([1, 2])}))
except StatusError as error:
    print(error.code, error.message)
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert answer.startswith("13 XLA compilation disabled")
