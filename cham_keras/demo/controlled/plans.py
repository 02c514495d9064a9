"""What happens in a clip of each controlled set, before anything is drawn.

A set isolates one claim. Its plans are made so that the other cues are useless, and that
can be checked on the plans themselves, exactly: of two classes, drawn with the same
random state, they differ in what the set isolates and in nothing else.

Comes in: the name of a set, a class, a random state. Goes out: who does what in which
frame. `drawing` turns it into pictures.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cham_keras.demo.drawn_actions import SUB_ACTIONS

#: How far a sub-action is carried out in each of its frames: out of neutral and back.
#: Both read the same backwards.
SHORT_EVENT = (0.6, 1.0, 0.6)
LONG_EVENT = (0.5, 0.8, 1.0, 1.0, 0.8, 0.5)

#: Frames of neutral standing between the two sub-actions of `coarse_order`, both ends possible.
COARSE_GAP = (28, 30)

_SHORT_CLIP = 12


@dataclass(frozen=True)
class ClipPlan:
    """Who does what in a clip.

    Attributes:
        amounts: (figures, time, sub-actions) float64 from 0 to 1, how far each figure
            carries out each of `SUB_ACTIONS`; all 0 is the neutral pose.
        actor: which of the figures wears the actor's colour.
    """

    amounts: np.ndarray
    actor: int = 0


@dataclass(frozen=True)
class ControlledSet:
    """A set of clips that isolates one claim.

    The three bounds are accuracies in expectation that no method exceeds which lacks one
    ability; 1 where the ability is not needed. Chance is 1 / the number of classes.

    Attributes:
        name: its name.
        claim: what decides the class, in a few words.
        classes: names of the classes, sorted; all equally frequent.
        num_frames: frames of every clip.
        at_random_places: whether figures stand anywhere, or the one figure in the middle.
        without_place: bound for whoever sees, of each frame, the mean over the positions.
        without_order: bound for whoever sees a clip's frames in no order.
        without_memory: bound at a clip's last frame for whoever has forgotten what lies
            further back than the shortest gap between two sub-actions.
        score: the figure that the bounds are about: "clip_accuracy", of the mean softmax
            over a clip's frames, or "last_frame_accuracy". A mean over frames is a memory
            of its own: it joins what the beginning says with what the end says.
        plan: makes a clip's plan from its class and a random state.
    """

    name: str
    claim: str
    classes: tuple[str, ...]
    num_frames: int
    at_random_places: bool
    without_place: float
    without_order: float
    without_memory: float
    score: str
    plan: Callable[[str, np.random.Generator], ClipPlan]


def _single_frame_plan(label: str, rng: np.random.Generator) -> ClipPlan:
    """One figure that holds one pose: every frame says all."""
    return ClipPlan(_held_poses((label,)))


def _place_plan(label: str, rng: np.random.Generator) -> ClipPlan:
    """Every pose once in every clip; the class is the pose of the figure in orange."""
    return ClipPlan(_held_poses(SUB_ACTIONS), actor=SUB_ACTIONS.index(label))


def _fine_order_plan(label: str, rng: np.random.Generator) -> ClipPlan:
    """Two short sub-actions, the one right after the other, somewhere in the clip."""
    return ClipPlan(_events(label.split("-then-"), SHORT_EVENT, 0, FINE_ORDER.num_frames, rng))


def _coarse_order_plan(label: str, rng: np.random.Generator) -> ClipPlan:
    """Two different ones of three sub-actions, far apart."""
    gap = int(rng.integers(COARSE_GAP[0], COARSE_GAP[1] + 1))
    frames = COARSE_ORDER.num_frames
    return ClipPlan(_events(label.split("-then-"), LONG_EVENT, gap, frames, rng))


def _held_poses(poses: tuple[str, ...]) -> np.ndarray:
    """A figure for each pose, which holds it all the time: (figures, time, sub-actions)."""
    of_poses = np.stack([_extreme(pose) for pose in poses])
    return np.repeat(of_poses[:, None], _SHORT_CLIP, axis=1)


def _events(
    names: list[str],
    event: tuple[float, ...],
    gap: int,
    num_frames: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """One figure that does two things, at a random time: (1, time, sub-actions).

    Before the first and after the last there is at least one frame of neutral standing,
    and both waits have the same distribution.
    """
    length = 2 * len(event) + gap
    start = int(rng.integers(1, num_frames - length))
    amounts = np.zeros((1, num_frames, len(SUB_ACTIONS)))
    for name in names:
        amounts[0, start : start + len(event)] = np.outer(event, _extreme(name))
        start += len(event) + gap
    return amounts


def _extreme(pose: str) -> np.ndarray:
    return np.eye(len(SUB_ACTIONS))[SUB_ACTIONS.index(pose)]


SINGLE_FRAME = ControlledSet(
    name="single_frame",
    claim="the pose, which every frame shows (the control)",
    classes=SUB_ACTIONS,
    num_frames=_SHORT_CLIP,
    at_random_places=False,
    without_place=1.0,
    without_order=1.0,
    without_memory=1.0,
    score="clip_accuracy",
    plan=_single_frame_plan,
)
PLACE = ControlledSet(
    name="place",
    claim="the pose of the orange figure, beside two figures in the other poses",
    classes=SUB_ACTIONS,
    num_frames=_SHORT_CLIP,
    at_random_places=True,
    without_place=1 / 3,
    without_order=1.0,
    without_memory=1.0,
    score="clip_accuracy",
    plan=_place_plan,
)
FINE_ORDER = ControlledSet(
    name="fine_order",
    claim="which of two adjacent short sub-actions comes first",
    classes=("raise-then-squat", "squat-then-raise"),
    num_frames=16,
    at_random_places=False,
    without_place=1.0,
    without_order=1 / 2,
    # The end of a clip shows the last sub-action, and with it which one was before.
    without_memory=1.0,
    score="clip_accuracy",
    plan=_fine_order_plan,
)
COARSE_ORDER = ControlledSet(
    name="coarse_order",
    claim="which sub-action comes first and which one comes long after it",
    classes=tuple(
        sorted(f"{one}-then-{other}" for one, other in itertools.permutations(SUB_ACTIONS, 2))
    ),
    num_frames=48,
    at_random_places=False,
    without_place=1.0,
    # The frames tell which two; the last one tells which was second, of two that may be first.
    without_order=1 / 2,
    without_memory=1 / 2,
    score="last_frame_accuracy",
    plan=_coarse_order_plan,
)

#: The sets by name, in the order of the tables.
CONTROLLED_SETS = {one.name: one for one in (SINGLE_FRAME, PLACE, FINE_ORDER, COARSE_ORDER)}
