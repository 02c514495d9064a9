"""What all systems compute: the same features, and the same weights where they can be equal."""

import dataclasses

import numpy as np

from cham_keras.benchmark.settings import BenchmarkSettings

#: The second layer of `cham` updates every so many steps, as in the paper.
SKIP = 2


@dataclasses.dataclass(frozen=True)
class Problem:
    """Features and weights.

    Attributes:
        features: float32 `(batch, time, height, width, channels)`, not negative, as
            behind a ReLU.
        weights: float32, by the names that `ConvAttentionLSTMCell` gives them.
        attention_scale: what an attention map sums to. With the number of positions, the
            attended features are as large as the features, so that an error in any part
            of the cell shows in its outputs.
    """

    features: np.ndarray
    weights: dict[str, np.ndarray]
    attention_scale: float


def make_problem(settings: BenchmarkSettings) -> Problem:
    """Draws features and weights; the same seed draws the same."""
    rng = np.random.default_rng(settings.seed)
    shape = (settings.batch, settings.steps, settings.height, settings.width, settings.channels)
    features = rng.standard_normal(shape, dtype="float32")
    np.maximum(features, 0, out=features)
    weights = {}
    for name, weight_shape in weight_shapes(settings).items():
        fan_in = np.prod(weight_shape[:-1]) if len(weight_shape) > 1 else 4
        weight = rng.standard_normal(weight_shape, dtype="float32")
        weight *= 1 / np.sqrt(fan_in, dtype="float32")
        weights[name] = weight
    return Problem(features, weights, float(settings.height * settings.width))


def weight_shapes(settings: BenchmarkSettings) -> dict[str, tuple[int, ...]]:
    """Shapes of the attention cell's weights, in the order in which the cell creates them."""
    size = (settings.kernel_size, settings.kernel_size)
    channels, filters = settings.channels, settings.filters
    return {
        "kernel": (*size, channels, 4 * filters),
        "recurrent_kernel": (*size, filters, 4 * filters),
        "bias": (4 * filters,),
        "attention_input_kernel": (1, 1, channels, filters),
        "attention_recurrent_kernel": (1, 1, filters, filters),
        "attention_bias": (filters,),
        "attention_score_kernel": (1, 1, filters, 1),
    }
