"""How large a model is, from its settings alone: its weights and its arithmetic.

Settings come in; the number of weights and the operations of a clip go out, without a model, which
might be too large to build. `tuning` weighs models by both.
"""

import math

from cham_keras.runs.model_building import resolved_model_settings, settings_of_model
from cham_keras.runs.settings import ModelSettings

#: Size of the kernels that make first states of a clip's mean feature.
_KERNEL_OF_MEAN = 3


def num_parameters(
    model: ModelSettings, feature_shape: tuple[int, int, int], num_classes: int
) -> int:
    """Number of weights, statistics of standardization among them, as Keras counts them.

    Args:
        model: a model with kernels: cham, conv_attention, conv_alstm.
        feature_shape: height, width and channels of a frame's features.
        num_classes: number of classes.

    Raises:
        ValueError: the model has no kernels.

    Example:

    >>> model = ModelSettings(filters=2, kernel_size=1, head_units=0)
    >>> num_parameters(model, (1, 1, 3), num_classes=2)
    112
    """
    _require_kernels(model)
    model = resolved_model_settings(model)
    height, width, _ = feature_shape
    channels, filters = _channels(model, feature_shape), model.filters
    attention_filters = model.attention_filters or filters
    of_input = (model.input_kernel_size or model.kernel_size) ** 2
    gates = 4 * filters

    def layer(channels: int) -> int:
        return (of_input * channels + model.kernel_size**2 * filters + 1) * gates

    of_attention = model.attention_kernel_size**2 * (channels + filters)
    # The last two: bias and score.
    count = layer(channels) + (of_attention + 1 + 1) * attention_filters
    layers = 1
    if model.name == "cham":
        count += layer(filters)
        layers = 2
    of_a_state = {
        "zeros": 0,
        "learned": height * width * filters,
        "mean_conv": (_KERNEL_OF_MEAN**2 * channels + 1) * filters,
    }[str(model.initial_state)]
    count += 2 * layers * of_a_state
    vectors = layers * filters * (height * width if model.pooling == "flatten" else 1)
    if model.head_units:
        count += (vectors + 1) * model.head_units
        vectors = model.head_units
    count += (vectors + 1) * num_classes
    return count + (2 * channels if model.standardize else 0)


def useful_operations(
    model: ModelSettings, feature_shape: tuple[int, int, int], num_frames: int
) -> int:
    """Operations of one forward pass over a clip; a multiply-add is two.

    Counted are the products with the large kernels, taps inside the map only, as `cham benchmark`
    counts them.

    Args:
        model: a model with kernels: cham, conv_attention, conv_alstm.
        feature_shape: height, width and channels of a frame's features.
        num_frames: frames of the clip.

    Raises:
        ValueError: the model has no kernels.

    Example:

    >>> useful_operations(ModelSettings(filters=2, kernel_size=1), (1, 1, 3), num_frames=2)
    264
    """
    _require_kernels(model)
    height, width, _ = feature_shape
    channels, filters = _channels(model, feature_shape), model.filters
    attention_filters = model.attention_filters or filters

    def taps(kernel_size: int) -> int:
        return math.prod(_pairs(size, kernel_size) for size in (height, width))

    of_input = taps(model.input_kernel_size or model.kernel_size)
    of_state = taps(model.kernel_size)
    of_attention = taps(model.attention_kernel_size)
    gates = 4 * filters
    first = of_input * channels * gates + of_state * filters * gates
    attention = of_attention * (channels + filters) * attention_filters
    multiply_adds = num_frames * (first + attention)
    if model.name == "cham":
        # The first layer's state is the second one's input.
        multiply_adds += (num_frames // model.skip) * (of_input + of_state) * filters * gates
    return 2 * multiply_adds


def _require_kernels(model: ModelSettings) -> None:
    if "kernel_size" not in settings_of_model(model):
        raise ValueError(
            "Sizes are counted of models with kernels: cham, conv_attention, conv_alstm. "
            f"Received: {model.name}."
        )


def _channels(model: ModelSettings, feature_shape: tuple[int, int, int]) -> int:
    """Channels that the first layer sees."""
    return feature_shape[2] * (2 if model.temporal_differences == "beside" else 1)


def _pairs(size: int, kernel_size: int) -> int:
    """Pairs along one axis of an output position and a tap that meets the map."""
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
    return sum(max(0, size - abs(offset)) for offset in reach)
