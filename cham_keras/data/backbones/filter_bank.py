"""A fixed bank of filters in the place of a trained network.

Comes in: frames of 0 to 255. Goes out: a 7 x 7 map of 24 channels that tell, for
each cell of 16 x 16 pixels, how much edge of which orientation, which colour and
how much light there is. Needs no download and no training, and is fast; the
demo and the tests use it through `load_backbone("filter_bank")`.

Orientation and colour stand in separate channels on purpose: what has the one
and what has the other is for the model to find out, by place.
"""

import math

import keras
import numpy as np
from keras import layers, ops

CELL_PIXELS = 16
DEFAULT_IMAGE_SIZE = 112
NUM_ORIENTATIONS = 8
WAVELENGTH_PIXELS = 4.0
KERNEL_PIXELS = 11

#: What the channels are, in their order. Angles are those of a stroke that the
#: filter answers to, counter-clockwise from the horizontal.
CHANNELS = (
    *(f"fine_{180 * k / NUM_ORIENTATIONS:g}_degrees" for k in range(NUM_ORIENTATIONS)),
    *(f"coarse_{180 * k / NUM_ORIENTATIONS:g}_degrees" for k in range(NUM_ORIENTATIONS)),
    *("brighter_than_surround", "darker_than_surround"),
    *("red", "green", "blue", "yellow"),
    *("luminance", "luminance_spread"),
)

# Measured on photographs and on drawn clips: these bring the standard deviation
# of each group near 1.
_ENERGY_SCALE = 48.0
_SURROUND_SCALE = 32.0
_COLOUR_SCALE = 8.0
_LUMINANCE_SCALE = 6.0
_SPREAD_SCALE = 16.0

# Keeps the colour of nearly black pixels from being noise.
_DARK = 0.1


def filter_bank(image_size: int = DEFAULT_IMAGE_SIZE) -> keras.Model:
    """Builds the model.

    Args:
        image_size: height and width of a frame in pixels, a multiple of 16.

    Returns:
        a model from (batch, image_size, image_size, 3), RGB of 0 to 255, to
        (batch, image_size / 16, image_size / 16, 24) float32.

    Raises:
        ValueError: `image_size` is no multiple of 16, or below 32.

    Example:
    >>> filter_bank().output_shape
    (None, 7, 7, 24)
    """
    if image_size % CELL_PIXELS or image_size < 2 * CELL_PIXELS:
        raise ValueError(
            f"`image_size` of filter_bank must be a multiple of {CELL_PIXELS}, at least "
            f"{2 * CELL_PIXELS}. Received: image_size={image_size}."
        )
    image = keras.Input((image_size, image_size, 3), name="image")
    red, green, blue = ops.split(image / 255.0, 3, axis=-1)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    half = layers.AveragePooling2D(2)(luminance)

    # The same filters on the picture and on the picture at half size: strokes of
    # about 2 and about 4 pixels.
    gabor = _gabor_layer()
    fine = _orientation_energy(gabor, luminance, _cell_pool(4 * 2))
    coarse = _orientation_energy(gabor, half, _cell_pool(4))

    surround = half - layers.AveragePooling2D(9, strides=1, padding="same")(half)
    brightness = _two_sides(surround, _cell_pool(8))

    red_green = (red - green) / (luminance + _DARK)
    blue_yellow = (blue - 0.5 * (red + green)) / (luminance + _DARK)
    colour = [_two_sides(opponent, _cell_pool(16)) for opponent in (red_green, blue_yellow)]

    mean = _cell_pool(CELL_PIXELS)(luminance)
    mean_square = _cell_pool(CELL_PIXELS)(ops.square(luminance))
    spread = ops.sqrt(ops.maximum(mean_square - ops.square(mean), 0.0))

    features = ops.concatenate(
        [
            _ENERGY_SCALE * fine,
            _ENERGY_SCALE * coarse,
            _SURROUND_SCALE * brightness,
            *(_COLOUR_SCALE * two_sides for two_sides in colour),
            _LUMINANCE_SCALE * (mean - 0.5),
            _SPREAD_SCALE * spread,
        ],
        axis=-1,
    )
    return keras.Model(image, features, name="filter_bank")


def gabor_kernels() -> np.ndarray:
    """Even and odd Gabor filters of each orientation.

    Returns:
        (kernel, kernel, 1, 2 * orientations) float32: all even ones, then all odd
        ones. A full-contrast grating of the filter's own wavelength and
        orientation gives an energy of 1; a plain surface gives 0.
    """
    reach = KERNEL_PIXELS // 2
    # Rows run downwards, angles counter-clockwise as one looks at the picture.
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype("float64")
    up = -down
    even, odd = [], []
    for k in range(NUM_ORIENTATIONS):
        angle = math.pi * k / NUM_ORIENTATIONS
        along = right * math.cos(angle) + up * math.sin(angle)
        across = -right * math.sin(angle) + up * math.cos(angle)
        # Longer along the stroke than across it: sharper in orientation.
        window = np.exp(-0.5 * ((along / 3.0) ** 2 + (across / 2.0) ** 2))
        phase = 2 * math.pi * across / WAVELENGTH_PIXELS
        cosine = window * (np.cos(phase) - np.sum(window * np.cos(phase)) / np.sum(window))
        sine = window * np.sin(phase)
        even.append(cosine / np.sum(cosine * np.cos(phase)))
        odd.append(sine / np.sum(sine * np.sin(phase)))
    return np.stack([*even, *odd], axis=-1)[:, :, None, :].astype("float32")


def _gabor_layer() -> layers.Layer:
    kernels = gabor_kernels()
    layer = layers.Conv2D(
        kernels.shape[-1], KERNEL_PIXELS, strides=2, use_bias=False, trainable=False, name="gabor"
    )
    layer.build((None, None, None, 1))
    layer.set_weights([kernels])
    return layer


def _orientation_energy(gabor, luminance, pool):
    """Root of the mean energy of each orientation in each cell."""
    # Mirrored rather than filled with zeros, or the frame's border would be an edge.
    reach = KERNEL_PIXELS // 2
    padded = ops.pad(luminance, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    even, odd = ops.split(pool(ops.square(gabor(padded))), 2, axis=-1)
    return ops.sqrt(even + odd)


def _two_sides(signed, pool):
    """Positive and negative parts of a signed map, each pooled by itself."""
    return pool(ops.concatenate([ops.relu(signed), ops.relu(-signed)], axis=-1))


def _cell_pool(pixels: int) -> layers.Layer:
    return layers.AveragePooling2D(pixels)
