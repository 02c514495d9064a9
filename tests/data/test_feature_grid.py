"""Where the cells of features lie, held against what moves them: gradients with a border."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cham_keras.data import FeatureGrid, load_backbone
from cham_keras.data.backbones.feature_grid import grid_of_model

SIZE = (61, 80)


def plain(x):
    x = layers.ZeroPadding2D(((3, 2), (1, 3)))(x)
    x = layers.Conv2D(2, (7, 5), strides=2, use_bias=False)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.Conv2D(2, 3, dilation_rate=2, use_bias=False)(x)


def same_padding(x):
    for _ in range(3):
        x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(x)
    return x


def branches(x):
    x = layers.Conv2D(2, 2, strides=2, use_bias=False)(x)
    aside = layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False)(x)
    wide = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((1, 0), (1, 0)))(x))
    wide = layers.SeparableConv2D(2, 5, strides=2, padding="same", use_bias=False)(wide)
    x = layers.Add()([aside, wide])
    excited = layers.GlobalAveragePooling2D(keepdims=True)(keras.ops.stop_gradient(x))
    return layers.Multiply()([x, layers.Conv2D(2, 1, activation="sigmoid")(excited)])


def nested(x):
    x = layers.Conv2D(3, 4, strides=(1, 2), use_bias=False)(layers.ZeroPadding2D(2)(x))
    inside = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(2, 5, strides=(2, 1), use_bias=False),
            layers.AveragePooling2D((3, 2)),
        ]
    )
    return layers.Conv2D(2, 3, padding="same", use_bias=False)(inside(x))


def first_and_last_pixels(model, cell):
    """Which rows and columns move a cell: where the gradient is not nought."""
    frames = tf.Variable(np.random.default_rng(0).uniform(1, 2, (1, *SIZE, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        of_cell = tf.reduce_sum(model(frames)[:, cell[0], cell[1]])
    moved = np.abs(tape.gradient(of_cell, frames).numpy()[0]).sum(axis=-1)
    rows, columns = np.flatnonzero(moved.sum(axis=1)), np.flatnonzero(moved.sum(axis=0))
    return np.array([[rows[0], rows[-1]], [columns[0], columns[-1]]])


@pytest.mark.parametrize("network", [plain, same_padding, branches, nested])
def test_a_cell_lies_in_the_middle_of_the_pixels_that_move_it(network):
    image = keras.Input((*SIZE, 3))
    model = keras.Model(image, network(image))
    # Positive weights, so that nothing is cancelled and no ReLU is shut. The largest of a
    # pool is one pixel; a mean of the same window shows all of it.
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in model.get_weights()])
    with_means = keras.models.clone_model(model, clone_function=mean_for_maximum)
    with_means.set_weights(model.get_weights())
    grid = grid_of_model(model)
    height, width = model.output_shape[1:3]
    cells = [(height // 2 + i, width // 2 + j) for i, j in np.ndindex(3, 3)]
    cells = np.subtract(cells, 1)  # those in the middle
    pixels = np.array([first_and_last_pixels(with_means, cell) for cell in cells])
    extents = np.ptp(pixels, axis=2)  # smaller where the border cuts the field
    whole = (extents == extents.max(axis=0)).all(axis=1)
    assert whole.sum() >= 4
    middles = (pixels.mean(axis=2) + 0.5) / SIZE
    expected = np.add(grid.first, np.multiply(cells, grid.step))
    np.testing.assert_allclose(expected[whole], middles[whole])
    # Looking leaves the model as it was.
    assert model.output_shape[1:3] == (height, width)


def mean_for_maximum(layer):
    if not isinstance(layer, layers.MaxPooling2D):
        return layer.__class__.from_config(layer.get_config())
    config = layer.get_config()
    return layers.AveragePooling2D(config["pool_size"], config["strides"], config["padding"])


@pytest.mark.parametrize(
    ("name", "first_pixel"), [("resnet50", 0), ("mobilenet", 31), ("vgg16", 15.5)]
)
def test_known_networks_put_their_cells_where_their_paddings_say(name, first_pixel):
    grid = load_backbone(name, "none").grid
    assert grid.step == (32 / 224, 32 / 224)
    np.testing.assert_allclose(np.multiply(grid.first, 224) - 0.5, first_pixel)


def test_what_cannot_be_followed_shares_the_frame_evenly():
    assert grid_of_model(load_backbone("filter_bank").model) is None
    assert load_backbone("filter_bank").grid == FeatureGrid((1 / 14, 1 / 14), (1 / 7, 1 / 7))
    image = keras.Input((8, 8, 3))
    for features in (layers.UpSampling2D(2)(image), layers.Reshape((4, 16, 3))(image)):
        assert grid_of_model(keras.Model(image, features)) is None
