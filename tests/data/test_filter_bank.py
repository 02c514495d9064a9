"""The filter bank: each channel answers to what its name says."""

import numpy as np
import pytest

from cham_keras.data.backbones.filter_bank import (
    CHANNELS,
    NUM_ORIENTATIONS,
    filter_bank,
    gabor_kernels,
)


@pytest.fixture(scope="module")
def bank():
    return filter_bank()


def features(bank, picture: np.ndarray) -> np.ndarray:
    return bank(picture[None].astype("float32")).numpy()[0]


def grating(degrees: float, wavelength: float) -> np.ndarray:
    """Stripes that run in the given direction, counter-clockwise from the horizontal."""
    down, right = np.mgrid[0:112, 0:112]
    angle = np.deg2rad(degrees)
    across = -right * np.sin(angle) - down * np.cos(angle)
    stripes = 127.5 + 127.5 * np.cos(2 * np.pi * across / wavelength)
    return np.repeat(stripes[..., None], 3, axis=-1)


@pytest.mark.parametrize(("scale", "wavelength"), [("fine", 4), ("coarse", 8)])
@pytest.mark.parametrize("orientation", range(NUM_ORIENTATIONS))
def test_stripes_excite_the_channel_of_their_orientation_and_scale(
    bank, scale, wavelength, orientation
):
    degrees = orientation * 180 / NUM_ORIENTATIONS
    energy = features(bank, grating(degrees, wavelength))[3, 3, : 2 * NUM_ORIENTATIONS]
    assert CHANNELS[np.argmax(energy)] == f"{scale}_{degrees:g}_degrees"


def test_the_energy_does_not_depend_on_the_phase_of_stripes(bank):
    found = [features(bank, np.roll(grating(90, 4), shift, axis=1))[3, 3] for shift in range(4)]
    channel = CHANNELS.index("fine_90_degrees")
    np.testing.assert_allclose([f[channel] for f in found], found[0][channel], rtol=0.05)


def test_kernels_are_a_quadrature_pair_without_mean():
    kernels = gabor_kernels()[:, :, 0]
    np.testing.assert_allclose(kernels.sum(axis=(0, 1)), 0, atol=1e-6)
    even, odd = np.split(kernels, 2, axis=-1)
    np.testing.assert_allclose((even * odd).sum(axis=(0, 1)), 0, atol=1e-6)


@pytest.mark.parametrize("grey", [0, 60, 255])
def test_a_plain_grey_picture_has_no_edge_and_no_colour_even_at_its_border(bank, grey):
    found = features(bank, np.full((112, 112, 3), grey))
    luminance = CHANNELS.index("luminance")
    np.testing.assert_allclose(found[..., luminance], 6 * (grey / 255 - 0.5), atol=1e-4)
    others = np.delete(found, [luminance, CHANNELS.index("luminance_spread")], axis=-1)
    np.testing.assert_allclose(others, 0, atol=1e-3)
    # The root of a difference of two nearly equal numbers.
    np.testing.assert_allclose(found[..., CHANNELS.index("luminance_spread")], 0, atol=0.05)


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [("red", (200, 40, 120)), ("green", (40, 200, 120)), ("blue", (90, 90, 250))],
)
def test_a_patch_of_colour_excites_its_channel_in_its_cell_only(bank, colour, rgb):
    picture = np.full((112, 112, 3), 128)
    picture[36:44, 84:92] = rgb  # inside the cell of row 2, column 5
    opponents = features(bank, picture)[..., CHANNELS.index("red") :][..., :4]
    names = CHANNELS[CHANNELS.index("red") :][:4]
    assert names[np.argmax(opponents[2, 5])] == colour
    opponents[2, 5] = 0
    np.testing.assert_allclose(opponents, 0, atol=1e-4)


def test_channels_of_a_busy_picture_are_of_order_one(bank):
    rng = np.random.default_rng(0)
    # Blotches of several sizes, so that all scales hold something.
    picture = sum(
        np.kron(rng.normal(0, 25, (112 // size, 112 // size, 3)), np.ones((size, size, 1)))
        for size in (2, 4, 8, 16)
    )
    spread = features(bank, np.clip(picture + 128, 0, 255)).std(axis=(0, 1))
    assert spread.min() > 0.1
    assert spread.max() < 3


@pytest.mark.parametrize("image_size", [100, 16, 0])
def test_an_image_size_that_is_no_multiple_of_a_cell_is_refused(image_size):
    with pytest.raises(ValueError, match=f"multiple of 16, at least 32. .*={image_size}"):
        filter_bank(image_size)
