"""What the tests of the layers share: random weights, and running in eager and in graph."""

import numpy as np
import pytest
import tensorflow as tf


def random_array(shape, seed):
    """Standard normal float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def weights_of(cell):
    """A cell's weights by name, in float64."""
    return {weight.name: np.asarray(weight.value, "float64") for weight in cell.weights}


def randomize(layer, clips, seed=0):
    """Builds a layer on `clips` and fills all weights with distinct random numbers.

    Returns:
        the weights by name, for layers with one cell.
    """
    layer(clips)
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if "seed_generator" not in weight.path:
            weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return weights_of(layer)


def run_eagerly(layer, *args, **kwargs):
    """The outputs of a layer, operation by operation."""
    return layer(*args, **kwargs)


def run_in_graph(layer, clips, **kwargs):
    """The outputs of a layer as one compiled graph with unknown batch and time."""
    unknown = tf.TensorSpec((None, None, *clips.shape[2:]), "float32")
    return tf.function(lambda x: layer(x, **kwargs), input_signature=[unknown])(clips)


in_eager_and_graph = [
    pytest.param(run_eagerly, id="eager"),
    pytest.param(run_in_graph, id="graph"),
]
