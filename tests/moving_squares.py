"""Drawn films for the trajectory tests: textured squares that move before a textured wall."""

import numpy as np

HEIGHT, WIDTH = 120, 160
_MARGIN = 60


def texture(height, width, seed):
    """Smooth noise `(height, width)` from 30 to 225, with something to follow everywhere."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width))
    waves = np.fft.fft2(noise)
    across, down = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    smooth = np.fft.ifft2(waves * np.exp(-80 * (across**2 + down**2))).real
    low, high = np.quantile(smooth, [0.01, 0.99])
    return 30 + 195 * np.clip((smooth - low) / (high - low), 0, 1)


def shifted(picture, down, right):
    """The picture moved by any part of a pixel, cyclically."""
    rows, columns = np.fft.fftfreq(picture.shape[0]), np.fft.fftfreq(picture.shape[1])
    turn = np.exp(-2j * np.pi * (rows[:, None] * down + columns[None] * right))
    return np.fft.ifft2(np.fft.fft2(picture) * turn).real


def draw(
    num_frames, velocity=(0.0, 0.0), camera=(0.0, 0.0), start=(40, 50), size=36, path=None, seed=0
):
    """Frames `(height, width, 3)` uint8 of a square that moves before a wall.

    Args:
        num_frames: number of frames.
        velocity: of the square relative to the wall, x and y in pixels a frame.
        camera: velocity that is added to everything, x and y in pixels a frame; or one for
            each frame.
        start: the square's corner at first, x and y.
        size: of the square, in pixels.
        path: positions of the square relative to `start`, x and y a frame, in place of
            `velocity`.
        seed: of the textures.
    """
    wall = texture(HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN, seed)
    square = texture(size, size, seed + 1000)
    velocity, camera = np.asarray(velocity, float), np.asarray(camera, float)
    moved = np.broadcast_to(camera, (num_frames, 2)).cumsum(axis=0) - camera.reshape(-1, 2)[0]
    frames = []
    for number in range(num_frames):
        own = velocity * number if path is None else np.asarray(path[number], float)
        # Whole pixels for the square within the scene; the scene then moves by any part.
        left, top = np.asarray(start) + np.rint(own).astype(int)
        scene = wall.copy()
        rows = slice(_MARGIN + top, _MARGIN + top + size)
        scene[rows, _MARGIN + left : _MARGIN + left + size] = square
        right, down = moved[number]
        seen = shifted(scene, down, right)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        grey = np.rint(seen).clip(0, 255).astype(np.uint8)
        frames.append(np.repeat(grey[..., None], 3, axis=2))
    return frames
