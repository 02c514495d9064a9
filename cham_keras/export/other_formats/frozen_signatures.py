"""What a file of another format can be asked: functions that hold the weights as constants.

Comes in: the inference model of a run. Goes out: the signatures for clips, for one frame of a
stream and for the states before it, under the names that a SavedModel has for them.
`onnx_file` and `litert_file` convert them.

A clip is a loop around the step of a stream here. The layers' own loops are made for training
and for long clips; they keep their outputs in lists of tensors, for which LiteRT has no
operation, and which tf2onnx cannot follow where the number of steps is not known.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import ops

from cham_keras import models
from cham_keras.export.clip_signature import SIGNATURE
from cham_keras.export.streaming import INITIAL_SIGNATURE, START_SIGNATURE, STEP_SIGNATURE
from cham_keras.models.clip_inputs import MeanOverTime, valid_steps
from cham_keras.models.recurrent_step import STEP_LAYER_NAME
from cham_keras.models.start_states import start_model

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class FrozenSignature:
    """A function of tensors by name.

    Attributes:
        name: the signature's name, as in a SavedModel.
        inputs: what it takes, by name; batch and time are free.
        function: takes the inputs as keywords and gives the outputs by name.
    """

    name: str
    inputs: dict[str, tf.TensorSpec]
    function: Callable[..., Tensors]


def frozen_signatures(
    model: keras.Model, *, has_states: bool, streaming: bool
) -> list[FrozenSignature]:
    """The signatures of a model.

    Args:
        model: as `inference.inference_model` gives it.
        has_states: whether it is recurrent, as `signatures.can_stream` says.
        streaming: whether the signatures for streams are wanted; a model without states has
            none.

    Returns:
        `serving_default` from `features` (batch, time, height, width, channels) and `lengths`
        (batch,) to `probabilities`, `logits` (batch, time, classes), `clip_probabilities`
        (batch, classes) and, of a model that has it, `attention` (batch, time, height, width);
        then `step`, and `initial_states` or `start`, as `streaming.add_streaming_signatures`
        tells them.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Files of other formats are made from TensorFlow's graphs. Received: backend "
            f"{keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow for this step."
        )
    shape = model.input["features"].shape[2:]
    clips = {
        "features": tf.TensorSpec((None, None, *shape), tf.float32, "features"),
        "lengths": tf.TensorSpec((None,), tf.int32, "lengths"),
    }
    if not has_states:
        return [FrozenSignature(SIGNATURE, clips, _clip_function(_FrozenModel(model)))]
    # Logits in the place of the probabilities: the head gives one of them.
    steps = models.streaming(keras.Model(model.input, model.output["logits"], name=model.name))
    probable = models.streaming(
        keras.Model(model.input, model.output["probabilities"], name=model.name)
    )
    inputs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
        for name, tensor in probable.input.items()
    }
    begins, begin = _beginning(model, probable, clips)
    over_steps = _over_steps(_FrozenModel(steps), begin)
    of_clips = FrozenSignature(SIGNATURE, clips, _clip_function(over_steps))
    of_frames = FrozenSignature(STEP_SIGNATURE, inputs, _with_keywords(_FrozenModel(probable)))
    return [of_clips, of_frames, begins] if streaming else [of_clips]


class _FrozenModel:
    """A model that is called with its weights as constants of the graph around.

    LiteRT's converter loses variables that are read inside a branch or a loop.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._weights = [
            [ops.convert_to_numpy(variable) for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]

    def __call__(self, tensors: Tensors) -> Tensors:
        constants = [[tf.constant(weight) for weight in weights] for weights in self._weights]
        outputs, _ = self.model.stateless_call(*constants, tensors, training=False)
        return dict(outputs)


class _MeanOverTime(MeanOverTime):
    """The same mean by operations that LiteRT has where neither batch nor time is known.

    `weight[:, :, None]` would be a slice that adds dimensions, which it has for known ones.
    """

    def call(self, features, lengths=None):
        if lengths is None:
            return super().call(features)
        weight = ops.cast(valid_steps(features, lengths), features.dtype)
        # (batch, time) -> (batch, time, 1, 1, 1)
        weight = ops.expand_dims(weight, (2, 3, 4))
        return ops.sum(features * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1)


def _with_keywords(model: _FrozenModel) -> Callable[..., Tensors]:
    return lambda **tensors: model(tensors)


def _beginning(
    model: keras.Model, step: keras.Model, clips: dict[str, tf.TensorSpec]
) -> tuple[FrozenSignature, Callable[[Tensors], Tensors]]:
    """The signature that a stream begins with, and the states that a clip begins with."""
    layer = step.get_layer(STEP_LAYER_NAME)
    if layer.starts_from_zeros or layer.learned_start is not None:
        of_one_stream = layer.first_states((1, *step.input["features"].shape[1:]))

        def initial_states(streams: tf.Tensor) -> Tensors:
            return {
                # (1, ...) -> (batch, ...)
                name: tf.repeat(tf.constant(state), tf.size(streams), axis=0)
                for name, state in of_one_stream.items()
            }

        inputs = {"streams": tf.TensorSpec((None,), tf.int32, "streams")}
        signature = FrozenSignature(INITIAL_SIGNATURE, inputs, initial_states)
        return signature, lambda tensors: initial_states(tensors["lengths"])
    clip_model = keras.Model(model.input, model.output["probabilities"], name=model.name)
    start = _FrozenModel(
        keras.models.clone_model(
            start_model(clip_model),
            clone_function=lambda layer: (
                _MeanOverTime(name=layer.name) if isinstance(layer, MeanOverTime) else layer
            ),
        )
    )
    return FrozenSignature(START_SIGNATURE, clips, _with_keywords(start)), start


def _over_steps(
    step: _FrozenModel, begin: Callable[[Tensors], Tensors]
) -> Callable[[Tensors], Tensors]:
    """A function of clips that runs a step of a stream over all their frames.

    Args:
        step: gives logits as `probabilities`.
        begin: gives the states before the first frame.

    Returns:
        a function from features and lengths to probabilities, logits and attention of all
        steps. It also runs over padding, whose outputs mean nothing.
    """
    states_and_features = step.model.input
    shapes = {
        name: output.shape[1:]
        for name, output in step.model.output.items()
        if name not in states_and_features
    }

    def run(tensors: Tensors) -> Tensors:
        features = tensors["features"]
        batch, time = tf.unstack(tf.shape(features)[:2])
        states = begin(tensors)
        sequences = {name: tf.zeros((batch, time, *shape)) for name, shape in shapes.items()}

        def body(t: tf.Tensor, states: Tensors, sequences: Tensors) -> tuple:
            outputs = step({"features": tf.gather(features, t, axis=1), **states})
            for name, state in states.items():
                outputs[name].set_shape(state.shape)
            written = {
                name: _with_step(sequence, outputs[name], t) for name, sequence in sequences.items()
            }
            return t + 1, {name: outputs[name] for name in states}, written

        _, _, sequences = tf.while_loop(
            lambda t, *_: t < time, body, (tf.constant(0), states, sequences)
        )
        logits = sequences.pop("probabilities")
        return {"probabilities": tf.nn.softmax(logits), "logits": logits, **sequences}

    return run


def _with_step(sequence: tf.Tensor, output: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """A sequence `(batch, time, ...)` with `output` `(batch, ...)` written at step t."""
    is_now = tf.range(tf.shape(sequence)[1]) == t
    # (time,) -> (time, 1, ...)
    is_now = tf.reshape(is_now, [-1] + [1] * (len(sequence.shape) - 2))
    return tf.where(is_now, tf.expand_dims(tf.cast(output, sequence.dtype), 1), sequence)


def _clip_function(run: Callable[[Tensors], Tensors]) -> Callable[..., Tensors]:
    """The signature for clips around what gives the outputs of all steps."""

    def serve(features: tf.Tensor, lengths: tf.Tensor) -> Tensors:
        outputs = run({"features": features, "lengths": lengths})
        outputs = {name: tf.cast(output, tf.float32) for name, output in outputs.items()}
        valid = tf.cast(valid_steps(features, lengths), tf.float32)  # (batch, time)
        # (batch, time, classes) -> (batch, classes)
        total = tf.reduce_sum(outputs["probabilities"] * tf.expand_dims(valid, 2), axis=1)
        mean = total / tf.reduce_sum(valid, axis=1, keepdims=True)
        return {**outputs, "clip_probabilities": mean}

    return serve
