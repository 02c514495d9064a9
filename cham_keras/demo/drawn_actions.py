"""Drawn clips of actions whose place and order both matter.

An action is two sub-actions in order: "raise-then-squat" and "squat-then-raise"
show the same poses in another order, so no single frame tells them apart. The
actor, the only orange figure, stands at a random place; two figures of other
colours carry out sub-actions of their own beside it. So a model has to find the
actor and to remember what it did first.

Comes in: a folder, the number of clips a class and split, a seed. Goes out: MP4
files in one folder a class, `clips.json`, and where the figures are. `cham demo` calls it.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cham_keras.data.clip_list import CLIP_LIST_FILE, Clip, ClipList, write_clip_list
from cham_keras.data.frames.video import write_video
from cham_keras.data.prepare.prepared import BOXES_FILE, Box, write_boxes
from cham_keras.demo.figure import (
    EXTREMES,
    REACH,
    Figure,
    boxes_around,
    draw_mask,
    joints_over_time,
)
from cham_keras.files import replacing_folder
from cham_keras.progress import track

CANVAS_SIZE = 112
NUM_FRAMES = 24
FRAME_RATE_HZ = 12.0

SUB_ACTIONS = tuple(sorted(EXTREMES))

#: The classes: every ordered pair of two different sub-actions.
ACTIONS = tuple(
    sorted(f"{first}-then-{second}" for first, second in itertools.permutations(SUB_ACTIONS, 2))
)

ACTOR_COLOUR = (240, 112, 16)
DISTRACTOR_COLOURS = (
    (52, 96, 200),  # blue
    (44, 140, 72),  # green
    (112, 112, 118),  # grey
    (124, 72, 168),  # violet
)
NUM_DISTRACTORS = 2
HEIGHT_RANGE = (40.0, 47.0)  # pixels
GAP_BETWEEN_FIGURES = 2.0  # pixels

#: Beside `boxes.csv` with the actor's box in every frame: those of the other two figures.
OTHER_BOXES_FILE = "other_boxes.csv"


@dataclass(frozen=True)
class Timing:
    """When a figure carries out its two sub-actions; all in frames.

    Attributes:
        lead: neutral standing before the first sub-action.
        first: how long the first sub-action lasts, out of neutral and back.
        pause: neutral standing between the two.
        second: how long the second one lasts.
    """

    lead: float
    first: float
    pause: float
    second: float


def draw_clip(action: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws one clip of an action.

    Args:
        action: a name of `ACTIONS`.
        rng: where the places, heights, colours, times and the noise come from; the
            same state gives the same clip.

    Returns:
        the frames, (24, 112, 112, 3) uint8 RGB, and the actor's boxes, (24, 4) float64:
        x0, y0, x1, y1 in pixels from the top left corner.

    Raises:
        ValueError: `action` is not one of `ACTIONS`.

    Example:
    >>> frames, boxes = draw_clip("raise-then-squat", np.random.default_rng(0))
    >>> frames.shape, boxes.shape
    ((24, 112, 112, 3), (24, 4))
    """
    frames, boxes = _draw_clip_and_all_boxes(action, rng)
    return frames, boxes[0]


def write_drawn_actions(folder: Path, clips_per_class: dict[str, int], seed: int) -> ClipList:
    """Draws and encodes clips of every action, behind a progress bar.

    Writes `<action>/<number>.mp4`, `clips.json`, `boxes.csv` with the actor's box in each
    frame, and `other_boxes.csv` with those of the other figures. The folder appears whole
    or not at all. A clip depends on the seed, its action and its
    number only, so asking for more clips leaves the earlier ones as they were.

    Args:
        folder: a new or empty folder.
        clips_per_class: number of clips of each action, by split: "train",
            "validation" or "test".
        seed: a number from 0 on.

    Returns:
        the clips, as in `clips.json`.

    Raises:
        ValueError: a number of clips or the seed breaks its rule.
        FileExistsError: the folder holds files.
    """
    _check_numbers(clips_per_class, seed)
    folder = Path(folder)
    splits = [split for split, number in clips_per_class.items() for _ in range(number)]
    clips = []
    for action, (number, split) in itertools.product(ACTIONS, enumerate(splits)):
        path = f"{action}/{number:03d}.mp4"
        clips.append(Clip(path=path, label=action, split=split, group=path))
    clip_list = ClipList(root=folder, classes=ACTIONS, clips=tuple(clips))
    with replacing_folder(folder) as temporary:
        actors, others = [], []
        for index, clip in enumerate(track(clips, "Drawing clips")):
            number = index % len(splits)
            rng = np.random.default_rng((seed, ACTIONS.index(clip.label), number))
            frames, boxes = _draw_clip_and_all_boxes(clip.label, rng)
            write_video(temporary / clip.path, frames, FRAME_RATE_HZ)
            actors += _boxes_of(clip.path, boxes[:1])
            others += _boxes_of(clip.path, boxes[1:])
        write_boxes(actors, temporary / BOXES_FILE)
        write_boxes(others, temporary / OTHER_BOXES_FILE)
        write_clip_list(replace(clip_list, root=temporary), temporary / CLIP_LIST_FILE)
    return clip_list


def sub_action_amounts(timing: Timing) -> np.ndarray:
    """How far the first and the second sub-action are carried out in each frame.

    Each rises smoothly from 0 to 1, stays a moment and falls back in the same way,
    so that a clip played backwards is a clip of the other order.

    Args:
        timing: when they begin and how long they last.

    Returns:
        (24, 2) float64 from 0 to 1; at most one of the two is above 0 in a frame.
    """
    time = np.arange(NUM_FRAMES)
    starts = np.array([timing.lead, timing.lead + timing.first + timing.pause])
    lengths = np.array([timing.first, timing.second])
    progress = (time[:, None] - starts) / lengths  # (time, sub-actions), 0 to 1 while it lasts
    ramp = np.clip(np.minimum(progress, 1 - progress) / 0.36, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _draw_clip_and_all_boxes(
    action: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames as `draw_clip` returns them, and (figures, time, 4) boxes, the actor's first."""
    if action not in ACTIONS:
        raise ValueError(f"`action` must be one of {', '.join(ACTIONS)}. Received: {action!r}.")
    orders = [action.split("-then-")]
    for _ in range(NUM_DISTRACTORS):
        orders.append(rng.choice(SUB_ACTIONS, size=2, replace=False).tolist())
    joints = np.stack(
        [
            joints_over_time(first, second, sub_action_amounts(_random_timing(rng)))
            for first, second in orders
        ]
    )  # (figures, time, joints, 2)
    figures, boxes = _place_figures(boxes_around(joints), rng)
    canvas = np.repeat(background(rng)[None], NUM_FRAMES, axis=0)
    paint_figures(canvas, figures, joints, boxes)
    noise = 2.0 * rng.standard_normal(canvas.shape, dtype="float32")
    return np.clip(canvas + noise, 0, 255).round().astype("uint8"), boxes


def paint_figures(
    canvas: np.ndarray, figures: list[Figure], joints: np.ndarray, boxes: np.ndarray
) -> None:
    """Paints figures over what stands on a canvas, in place.

    Args:
        canvas: (time, 112, 112, 3) float32, RGB of 0 to 255.
        figures: their places, heights and colours.
        joints: (figures, time, joints, 2) in standing heights.
        boxes: (figures, time, 4) around them in pixels.
    """
    for index, figure in enumerate(figures):
        colour = np.array(figure.colour, "float32")
        for frame in range(len(canvas)):
            mask = draw_mask(figure, joints[index, frame], CANVAS_SIZE)
            x0, y0 = np.floor(boxes[index, frame, :2]).astype(int)
            x1, y1 = np.ceil(boxes[index, frame, 2:]).astype(int)
            cover = mask[y0:y1, x0:x1, None].astype("float32") / 255
            covered = canvas[frame, y0:y1, x0:x1]
            covered += cover * (colour - covered)


def _random_timing(rng: np.random.Generator) -> Timing:
    """Draws a timing whose distribution is the same when the clip is played backwards."""
    first, second = rng.uniform(7.5, 9.5, size=2)
    pause = rng.uniform(0.0, 1.5)
    slack = NUM_FRAMES - 1 - first - pause - second
    return Timing(lead=slack * rng.uniform(0.1, 0.9), first=first, pause=pause, second=second)


def _place_figures(boxes: np.ndarray, rng: np.random.Generator) -> tuple[list[Figure], np.ndarray]:
    """Chooses heights, colours and places so that no two figures touch in any frame.

    Args:
        boxes: (figures, time, 4) around each figure, in standing heights.
        rng: draws until a choice fits.

    Returns:
        the figures, and their boxes on the canvas in pixels, (figures, time, 4).
    """
    chosen = rng.choice(len(DISTRACTOR_COLOURS), size=len(boxes) - 1, replace=False)
    colours = [ACTOR_COLOUR, *(DISTRACTOR_COLOURS[index] for index in chosen)]
    while True:
        heights = rng.uniform(*HEIGHT_RANGE, size=len(boxes))
        # Room for every pose, so that the place does not hint at the sub-actions.
        reach = REACH * heights[:, None]
        places = rng.uniform(-reach[:, :2], CANVAS_SIZE - reach[:, 2:], size=(64, len(boxes), 2))
        on_canvas = boxes * heights[:, None, None] + np.tile(places, 2)[:, :, None]
        fits = np.flatnonzero(~any_touch(on_canvas))
        if len(fits):
            figures = [
                Figure(x, ground, height, colour)
                for (x, ground), height, colour in zip(
                    places[fits[0]], heights, colours, strict=True
                )
            ]
            return figures, on_canvas[fits[0]]


def any_touch(boxes: np.ndarray) -> np.ndarray:
    """Whether two figures meet, or nearly, in some frame.

    Args:
        boxes: (choices, figures, time, 4) in pixels.

    Returns:
        (choices,) bool.
    """
    touch = np.zeros(len(boxes), bool)
    for one, other in itertools.combinations(np.moveaxis(boxes, 1, 0), 2):
        before = one[..., 2:] + GAP_BETWEEN_FIGURES <= other[..., :2]  # (choices, time, x and y)
        after = other[..., 2:] + GAP_BETWEEN_FIGURES <= one[..., :2]
        touch |= ~(before | after).any(axis=-1).all(axis=-1)
    return touch


def background(rng: np.random.Generator) -> np.ndarray:
    """A light, low-contrast surface: a tint, a slope of brightness, blotches and grain."""
    tint = rng.uniform(196, 222) + rng.uniform(-8, 8, size=3)
    position = np.linspace(-1, 1, CANVAS_SIZE)
    slope_y, slope_x = rng.uniform(-10, 10, size=2)
    slope = slope_y * position[:, None] + slope_x * position[None, :]
    blotches = rng.normal(0, 4.0, size=(8, 8))
    weights = _interpolation_weights(8)  # (canvas, 8)
    grain = rng.normal(0, 2.0, size=(CANVAS_SIZE, CANVAS_SIZE))
    brightness = slope + weights @ blotches @ weights.T + grain
    return (tint + brightness[..., None]).astype("float32")


def _interpolation_weights(num_points: int) -> np.ndarray:
    """(canvas, num_points) matrix that interpolates linearly between the points."""
    place = np.linspace(0, num_points - 1, CANVAS_SIZE)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(num_points)))


def _boxes_of(path: str, edges: np.ndarray) -> list[Box]:
    """Boxes of `(figures, time, 4)` edges, frame by frame."""
    left_top, sizes = edges[..., :2], edges[..., 2:] - edges[..., :2]
    numbers = np.concatenate([left_top, sizes], axis=-1).round(2)
    return [
        Box(path, frame, *numbers[figure, frame].tolist())
        for frame in range(edges.shape[1])
        for figure in range(len(edges))
    ]


def _check_numbers(clips_per_class: dict[str, int], seed: int) -> None:
    for split, number in clips_per_class.items():
        if number < 1:
            raise ValueError(
                "`clips_per_class` must be 1 or more for each split that it names. "
                f"Received: {split}={number}."
            )
    if seed < 0:
        raise ValueError(f"`seed` must be 0 or more. Received: seed={seed}.")
