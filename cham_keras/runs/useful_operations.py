"""How much arithmetic a model cannot do without, from its settings.

Settings come in, operations of one clip go out. Counted are the products with the large kernels,
taps inside the map only, as `cham benchmark` counts them. `tuning` weighs models by it.
"""

from cham_keras.runs.model_building import settings_of_model
from cham_keras.runs.settings import ModelSettings


def useful_operations(
    model: ModelSettings, feature_shape: tuple[int, int, int], num_frames: int
) -> int:
    """Operations of one forward pass over a clip; a multiply-add is two.

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
    if "kernel_size" not in settings_of_model(model):
        raise ValueError(
            "Operations are counted of models with kernels: cham, conv_attention, conv_alstm. "
            f"Received: {model.name}."
        )
    height, width, channels = feature_shape
    if model.temporal_differences == "beside":
        channels *= 2
    filters = model.filters
    attention_filters = model.attention_filters or filters

    def taps(kernel_size: int) -> int:
        return _pairs(height, kernel_size) * _pairs(width, kernel_size)

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


def _pairs(size: int, kernel_size: int) -> int:
    """Pairs along one axis of an output position and a tap that meets the map."""
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
    return sum(max(0, size - abs(offset)) for offset in reach)
