"""From the plan of a clip to its frames.

Whatever the class does not say is drawn without knowing it: background, places, heights,
noise, and how strong a figure's colour is. Two things are kept equal on purpose. All
colours have the same luminance, so that what is drawn without colour is the same in all
classes. And a figure's colour is the paler the more of the canvas the figure covers, so
that the amount of orange does not say how large a pose the actor holds.

Comes in: a `ControlledSet`, a class, a random state. Goes out: uint8 frames. `clips`
writes them as videos.
"""

import numpy as np

from cham_keras.demo.controlled.plans import ClipPlan, ControlledSet
from cham_keras.demo.drawn_actions import (
    CANVAS_SIZE,
    SUB_ACTIONS,
    any_touch,
    background,
    paint_figures,
)
from cham_keras.demo.figure import EXTREMES, NEUTRAL, REACH, Figure, boxes_around, draw_mask

#: All colours have this luminance, in the weights of `LUMINANCE_WEIGHTS`.
LUMINANCE = 110.0
LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)

ACTOR_COLOUR = (216.0, 72.0, 27.7)  # orange
DISTRACTOR_COLOURS = (
    (70.0, 104.0, 245.8),  # blue
    (40.0, 158.0, 46.4),  # green
    (150.0, 72.0, 200.7),  # violet
)

HEIGHT_RANGE = (41.0, 45.0)  # pixels
MIDDLE_HEIGHT = 43.0
#: Where the feet of a figure in the middle stand: no pose leaves the canvas.
MIDDLE_PLACE = (56.0, 82.0)  # pixels

#: Covered pixels times strength of the colour, which is 1 for the colours above, 0 for grey.
COLOUR_AMOUNT_RANGE = (290.0, 370.0)

NOISE = 2.0  # standard deviation, of 255


def draw_planned_clip(
    controlled: ControlledSet, label: str, rng: np.random.Generator, noise: float = NOISE
) -> np.ndarray:
    """Draws one clip.

    Args:
        controlled: the set.
        label: one of its classes.
        rng: where the plan, the places, the background and the noise come from. The same
            state gives the same clip; with another class, its twin: the same clip but for
            what the class is about (and for the noise, which is drawn frame by frame).
        noise: standard deviation of the pixels' noise.

    Returns:
        (time, 112, 112, 3) uint8 RGB.

    Raises:
        ValueError: `label` is no class of the set.

    Example:
    >>> from cham_keras.demo.controlled import CONTROLLED_SETS
    >>> place = CONTROLLED_SETS["place"]
    >>> draw_planned_clip(place, "squat", np.random.default_rng(0)).shape
    (12, 112, 112, 3)
    """
    if label not in controlled.classes:
        raise ValueError(
            f"`label` must be a class of {controlled.name}: {', '.join(controlled.classes)}. "
            f"Received: {label!r}."
        )
    plan = controlled.plan(label, rng)
    joints = joints_of(plan.amounts)
    if controlled.at_random_places:
        places, heights = _random_places(boxes_around(joints), rng)
    else:
        places = np.array([MIDDLE_PLACE] * len(joints))
        heights = np.full(len(joints), MIDDLE_HEIGHT)
    boxes = boxes_around(joints) * heights[:, None, None] + np.tile(places, 2)[:, None]
    figures = _coloured(plan, joints, places, heights, rng)
    canvas = np.repeat(background(rng)[None], controlled.num_frames, axis=0)
    paint_figures(canvas, figures, joints, boxes)
    canvas += noise * rng.standard_normal(canvas.shape, dtype="float32")
    return np.clip(canvas, 0, 255).round().astype("uint8")


def joints_of(amounts: np.ndarray) -> np.ndarray:
    """Joints of figures from how far they carry out each sub-action.

    Args:
        amounts: (..., sub-actions), 0 to 1.

    Returns:
        (..., joints, 2) in standing heights.
    """
    changes = np.stack([EXTREMES[name] - NEUTRAL for name in SUB_ACTIONS])
    return NEUTRAL + np.einsum("...s,sjx->...jx", amounts, changes)


def _random_places(boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places (figures, 2) and heights (figures,) so that no two figures touch."""
    while True:
        heights = rng.uniform(*HEIGHT_RANGE, size=len(boxes))
        # Room for every pose, so that the place does not hint at the pose.
        reach = REACH * heights[:, None]
        places = rng.uniform(-reach[:, :2], CANVAS_SIZE - reach[:, 2:], size=(64, len(boxes), 2))
        on_canvas = boxes * heights[:, None, None] + np.tile(places, 2)[:, :, None]
        fits = np.flatnonzero(~any_touch(on_canvas))
        if len(fits):
            return places[fits[0]], heights


def _coloured(
    plan: ClipPlan,
    joints: np.ndarray,
    places: np.ndarray,
    heights: np.ndarray,
    rng: np.random.Generator,
) -> list[Figure]:
    """The figures with their colours, the actor's and others."""
    others = rng.choice(len(DISTRACTOR_COLOURS), size=len(joints) - 1, replace=False)
    # Drawn for the colours, not for the figures: the actor's is the first of them.
    wanted = rng.uniform(*COLOUR_AMOUNT_RANGE, size=len(joints))
    colours = [ACTOR_COLOUR, *(DISTRACTOR_COLOURS[index] for index in others)]
    order = [plan.actor, *(index for index in range(len(joints)) if index != plan.actor)]
    figures = {}
    for index, colour, amount in zip(order, colours, wanted, strict=True):
        (x, ground), height = places[index].tolist(), float(heights[index])
        grey = Figure(x, ground, height, colour=(0, 0, 0))
        # A figure that moves keeps its colour: by the area of its first frame.
        covered = draw_mask(grey, joints[index, 0], CANVAS_SIZE).sum() / 255
        strength = amount / covered
        red, green, blue = (LUMINANCE + strength * (part - LUMINANCE) for part in colour)
        figures[index] = Figure(x, ground, height, (red, green, blue))
    return [figures[index] for index in range(len(joints))]
