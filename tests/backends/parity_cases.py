"""What is compared between Keras's backends.

`CASES` maps a name to a function that gives arrays by name: outputs, losses,
gradients, weights after training. `test_parity.py` calls them on TensorFlow,
`parity_program.py` on other backends. Every number comes from NumPy's
generator, so that all backends compute with the same weights and inputs.
"""

import functools

import keras
import numpy as np
from backends.gradients import value_and_gradients
from keras import ops

from cham_keras import models
from cham_keras.layers import (
    AveragePooledLSTMCell,
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy

FILTERS = 2
# Overwritten by `fill`; JAX compiles an initializer for every shape, zeros the fastest.
ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
ATTENTION = {"attention_initializer": "zeros", **ZEROS}
CELLS = {
    "conv_attention": lambda: ConvAttentionLSTMCell(FILTERS, attention_filters=3, **ATTENTION),
    "conv": lambda: ConvLSTMCell(FILTERS, input_kernel_size=(1, 3), **ZEROS),
    "soft_attention": lambda: SoftAttentionLSTMCell(FILTERS, attention_units=3, **ATTENTION),
    "average_pooled": lambda: AveragePooledLSTMCell(FILTERS, **ZEROS),
}
HEAD = {"head_units": 4, "dropout": 0.0}
MODELS = {
    "cham": functools.partial(models.cham, filters=FILTERS, **HEAD),
    "cham_with_all_it_can_have": functools.partial(
        models.cham,
        filters=FILTERS,
        initial_state="learned",
        attention_penalty=0.5,
        standardize=True,
        **HEAD,
    ),
    "conv_attention": functools.partial(
        models.conv_attention,
        filters=FILTERS,
        initial_state="mean_conv",
        pooling="flatten",
        **HEAD,
    ),
    "fc_attention": functools.partial(models.fc_attention, units=FILTERS, **HEAD),
    "conv_alstm": functools.partial(models.conv_alstm, filters=FILTERS, **HEAD),
    "average_pooled_lstm": functools.partial(models.average_pooled_lstm, units=FILTERS, **HEAD),
    "softmax_regression": functools.partial(models.softmax_regression, l2=0.1),
    "spatial_convnet": functools.partial(models.spatial_convnet, dropout=0.0),
}
IMPLEMENTATIONS = ("step", "hoisted")
SETTINGS = ("whole", "lengths", "initial_state")
SKIPS_AND_SETTINGS = [
    (1, "whole"),
    (2, "whole"),
    (2, "lengths"),
    (3, "initial_state"),
]
TRAINED_STEPS = 3
#: Room for a frame or two, so that "auto" cannot hoist a whole clip.
SMALL_BUDGET_BYTES = 4096


def numbers(*shape, seed):
    """Standard normal float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# Eight channels are four times the filters: from there on "auto" hoists.
CLIPS = numbers(3, 5, 4, 3, 8, seed=1)
LENGTHS = np.array([5, 3, 1], "int32")
INPUTS = {"features": CLIPS, "lengths": LENGTHS}
LABELS = np.where(np.arange(5) < LENGTHS[:, None], np.array([[0], [1], [2]]), -1)


def spatial_case(cell, setting="whole", **how):
    """One `SpatialRNN`: all its outputs, and gradients of weights, clips and first states."""
    cell = CELLS[cell]()
    layer = SpatialRNN(
        cell,
        return_sequences=True,
        return_state=True,
        return_attention=cell.has_attention,
        **how,
    )
    states = {}
    if setting == "initial_state":
        shape = cell.state_shape(CLIPS[:, 0].shape)
        states = {"h": numbers(*shape, seed=2), "c": numbers(*shape, seed=3)}
    return layer_case(layer, setting, states)


def skip_case(skip, setting="whole", **how):
    """One `HierarchicalSkipRNN`, as `spatial_case`."""
    cells = [CELLS["conv_attention"](), ConvLSTMCell(3, **ZEROS)]
    layer = HierarchicalSkipRNN(
        cells, skip, return_sequences=True, return_state=True, return_attention=True, **how
    )
    states = {}
    if setting == "initial_state":
        for seed, (name, filters) in enumerate({"h1": 2, "c1": 2, "h2": 3, "c2": 3}.items()):
            states[name] = numbers(*CLIPS[:, 0, ..., 0].shape, filters, seed=10 + seed)
        # Clips that come from different phases, of which one updates at once.
        states["phase"] = np.array([skip - 1, 0, 0], "int32")
    return layer_case(layer, setting, states)


def layer_case(layer, setting, states):
    """All outputs of a layer, and the gradients of a sum of random multiples of them."""
    layer.build(CLIPS.shape)
    fill(layer.trainable_variables)
    lengths = LENGTHS if setting == "lengths" else None

    def total(tensors):
        initial_state = [tensors[name] for name in states] or None
        outputs = layer(tensors["sequences"], initial_state=initial_state, lengths=lengths)
        of_outputs = [
            ops.sum(ops.multiply(output, numbers(*output.shape, seed=200 + index)))
            for index, output in enumerate(outputs)
            if keras.backend.standardize_dtype(output.dtype) == "float32"
        ]
        return functools.reduce(ops.add, of_outputs), outputs

    inputs = {"sequences": CLIPS, **states}
    (_, outputs), gradients = value_and_gradients(total, layer.trainable_variables, inputs)
    return as_arrays({f"output {n}": value for n, value in enumerate(outputs)} | gradients)


def loss_case(over_time):
    """A loss with padding and a weight a clip, and its gradient at the probabilities."""
    probabilities = np.exp(numbers(3, 5, 4, seed=4))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    weights = np.array([1.0, 0.5, 2.0], "float32")
    loss = SequenceCrossEntropy(over_time)

    def total(tensors):
        return loss(LABELS, tensors["probabilities"], sample_weight=weights), {}

    (value, _), gradients = value_and_gradients(total, [], {"probabilities": probabilities})
    metrics = {
        metric.name: metric(LABELS, probabilities) for metric in (FrameAccuracy(), ClipAccuracy())
    }
    return as_arrays({"output loss": value, **metrics} | gradients)


def model_case(name):
    """Probabilities, attention maps where there are any, and the gradients of the loss."""
    model = build_model(name)
    if models.has_attention(model):
        model = models.with_attention(model)

    def total(tensors):
        outputs = model(tensors, training=True)
        if not isinstance(outputs, dict):
            outputs = {"probabilities": outputs}
        return SequenceCrossEntropy()(LABELS, outputs["probabilities"]), outputs

    (value, outputs), gradients = value_and_gradients(total, model.trainable_variables, INPUTS)
    outputs = {f"output {name}": output for name, output in outputs.items()}
    return as_arrays({**outputs, "output loss": value} | gradients)


def training_case(name):
    """What `train_on_batch` reports, and all weights after a few steps of Adam."""
    model = build_model(name)
    model.compile(
        keras.optimizers.Adam(0.01),
        SequenceCrossEntropy(),
        metrics=[FrameAccuracy(), ClipAccuracy()],
    )
    results = {}
    for step in range(TRAINED_STEPS):
        logs = model.train_on_batch(INPUTS, LABELS, return_dict=True)
        results |= {f"{key} of step {step}": value for key, value in logs.items()}
    weights = {
        f"weight {index} {variable.name}": variable
        for index, variable in enumerate(model.trainable_variables)
    }
    return as_arrays(results | weights)


def prediction(model):
    """What a model predicts for the clips."""
    return model.predict(INPUTS, verbose=0)


@functools.cache
def unfilled_model(name):
    """A model for clips of any length, without dropout; building one takes seconds on JAX."""
    shape = (None, *CLIPS.shape[2:])
    return MODELS[name](shape, 3, lengths=True)


def build_model(name):
    """The same with weights from NumPy's generator."""
    model = unfilled_model(name)
    fill(model.trainable_variables)
    if "standardization" in [layer.name for layer in model.layers]:
        channels = CLIPS.shape[-1]
        models.set_feature_statistics(
            model, numbers(channels, seed=5), numbers(channels, seed=6) ** 2
        )
    return model


def fill(variables):
    """Gives each weight distinct random numbers."""
    for index, variable in enumerate(variables):
        variable.assign(0.3 * numbers(*variable.shape, seed=100 + index))


def as_arrays(results):
    """Every result as a NumPy array."""
    return {name: ops.convert_to_numpy(value) for name, value in results.items()}


LAYER_CASES = {
    f"{cell}-{implementation}-{setting}": functools.partial(
        spatial_case, cell, setting, implementation=implementation
    )
    for cell in CELLS
    for implementation in IMPLEMENTATIONS
    for setting in SETTINGS
}
LAYER_CASES |= {
    f"skip_{skip}-{implementation}-{setting}": functools.partial(
        skip_case, skip, setting, implementation=implementation
    )
    for skip, setting in SKIPS_AND_SETTINGS
    for implementation in IMPLEMENTATIONS
}
LAYER_CASES |= {
    "conv-backwards": functools.partial(spatial_case, "conv", "lengths", go_backwards=True),
    "conv_attention-small_budget": functools.partial(
        spatial_case, "conv_attention", memory_budget_bytes=SMALL_BUDGET_BYTES
    ),
    "skip_2-updates": functools.partial(skip_case, 2, "lengths", emit="updates"),
}
LOSS_CASES = {f"loss-{over}": functools.partial(loss_case, over) for over in ("sum", "mean")}
MODEL_CASES = {f"model-{name}": functools.partial(model_case, name) for name in MODELS}
TRAINING_CASES = {f"training-{name}": functools.partial(training_case, name) for name in MODELS}
CASES = LAYER_CASES | LOSS_CASES | MODEL_CASES | TRAINING_CASES
