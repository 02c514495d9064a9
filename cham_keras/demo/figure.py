"""A stick figure: its poses, the box around it, and its picture as a coverage mask.

Comes in: two sub-actions with how far each is carried out (0 = neutral pose,
1 = extreme pose), and the figure's height and place in pixels. Goes out: joints,
boxes and masks. `drawn_actions` paints the masks onto a background.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

#: Masks are drawn this many times larger and then averaged down, for smooth edges.
SUPERSAMPLING = 4

#: The joints of one side of the body; the other side is its mirror image.
JOINTS = ("head", "neck", "shoulder", "elbow", "hand", "hip", "knee", "foot")

# Joint positions in standing heights: x to the side from the middle, y up from the ground.
# fmt: off
NEUTRAL = np.array([
    [0, 0.90], [0, 0.79], [0.11, 0.77], [0.16, 0.60], [0.15, 0.43],
    [0.05, 0.45], [0.07, 0.22], [0.08, 0.00],
])

#: The extreme pose of each sub-action. What lies between is on the straight line from the
#: neutral pose, so arms rise towards the viewer and do not pass through the stretch.
EXTREMES = {
    "raise": np.array([
        [0, 0.90], [0, 0.79], [0.11, 0.79], [0.15, 1.00], [0.15, 1.22],
        [0.05, 0.45], [0.07, 0.22], [0.08, 0.00],
    ]),
    "squat": np.array([
        [0, 0.60], [0, 0.49], [0.11, 0.47], [0.20, 0.35], [0.12, 0.22],
        [0.05, 0.20], [0.30, 0.24], [0.17, 0.00],
    ]),
    "stretch": np.array([
        [0, 0.84], [0, 0.73], [0.11, 0.72], [0.28, 0.72], [0.44, 0.72],
        [0.05, 0.40], [0.18, 0.21], [0.31, 0.00],
    ]),
}
# fmt: on

HEAD_RADIUS = 0.095
LIMB_THICKNESS = 0.085


@dataclass(frozen=True)
class Figure:
    """One stick figure of a clip.

    Attributes:
        x: the middle between its feet, pixels from the canvas's left edge.
        ground: where its feet stand, pixels from the canvas's top edge.
        height: standing height in pixels, feet to crown.
        colour: red, green, blue from 0 to 255.
    """

    x: float
    ground: float
    height: float
    colour: tuple[float, float, float]


def joints_over_time(first: str, second: str, amounts: np.ndarray) -> np.ndarray:
    """The joints of a figure that carries out two sub-actions.

    Args:
        first: a key of `EXTREMES`.
        second: another one.
        amounts: (time, 2), how far each of the two is carried out, 0 to 1.

    Returns:
        (time, joints, 2) x and y in standing heights, in the order of `JOINTS`.

    Example:
    >>> joints = joints_over_time("raise", "squat", np.array([[1.0, 0.0]]))
    >>> joints[0, JOINTS.index("hand")].tolist()
    [0.15, 1.22]
    """
    changes = np.stack([EXTREMES[first] - NEUTRAL, EXTREMES[second] - NEUTRAL])
    return NEUTRAL + np.einsum("ts,sjx->tjx", amounts, changes)


def boxes_around(joints: np.ndarray) -> np.ndarray:
    """The box around a figure, the thickness of its limbs included.

    Args:
        joints: (..., joints, 2) as `joints_over_time` returns them.

    Returns:
        (..., 4) left, top, right, bottom in standing heights from the feet's middle,
        y downwards as in pictures.
    """
    half = LIMB_THICKNESS / 2
    crown = joints[..., JOINTS.index("head"), 1] + HEAD_RADIUS
    side = np.maximum(joints[..., 0].max(-1) + half, HEAD_RADIUS)
    top = np.maximum(joints[..., 1].max(-1) + half, crown)
    bottom = joints[..., 1].min(-1) - half
    return np.stack([-side, -top, side, -bottom], axis=-1)


#: The box that no pose of any sub-action leaves.
REACH = np.concatenate(
    [
        boxes_around(np.stack(list(EXTREMES.values()))).min(0)[:2],
        boxes_around(np.stack(list(EXTREMES.values()))).max(0)[2:],
    ]
)


def draw_mask(figure: Figure, joints: np.ndarray, canvas_size: int) -> np.ndarray:
    """Draws one figure in one pose.

    Args:
        figure: place and height.
        joints: (joints, 2) in standing heights.
        canvas_size: side of the square canvas in pixels.

    Returns:
        (canvas_size, canvas_size) uint8: how much of each pixel the figure covers,
        255 for all of it.
    """
    scale = SUPERSAMPLING
    image = Image.new("L", (canvas_size * scale, canvas_size * scale))
    draw = ImageDraw.Draw(image)
    offsets = joints * (figure.height * scale)
    x, ground = figure.x * scale, figure.ground * scale

    def point(joint: str, side: int) -> tuple[float, float]:
        right, up = offsets[JOINTS.index(joint)]
        return (x + side * right, ground - up)

    def disc(centre: tuple[float, float], radius: float) -> None:
        draw.ellipse(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
            fill=255,
        )

    def limb(*points: tuple[float, float]) -> None:
        thickness = LIMB_THICKNESS * figure.height * scale
        draw.line(points, fill=255, width=round(thickness))
        for joint in points:  # lines end square; discs round their ends and bends
            disc(joint, thickness / 2)

    for side in (-1, 1):
        limb(*(point(joint, side) for joint in ("neck", "shoulder", "elbow", "hand")))
        limb(*(point(joint, side) for joint in ("hip", "knee", "foot")))
    right_side = [point(joint, 1) for joint in ("neck", "shoulder", "hip")]
    left_side = [point(joint, -1) for joint in ("hip", "shoulder")]
    draw.polygon(right_side + left_side, fill=255)
    disc(point("head", 1), HEAD_RADIUS * figure.height * scale)
    return np.asarray(image.reduce(scale))
