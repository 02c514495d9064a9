"""The controlled sets: what they isolate decides, and all else is useless by construction."""

import collections
import dataclasses
import functools

import numpy as np
import pytest

from cham_keras.data import load_backbone, read_clip_list
from cham_keras.data.frames.video import read_frames
from cham_keras.demo.controlled import (
    CONTROLLED_SETS,
    ClipPlan,
    draw_planned_clip,
    write_controlled_set,
)
from cham_keras.demo.controlled.drawing import (
    ACTOR_COLOUR,
    DISTRACTOR_COLOURS,
    LUMINANCE,
    LUMINANCE_WEIGHTS,
)
from cham_keras.demo.controlled.plans import COARSE_GAP, LONG_EVENT
from cham_keras.demo.drawn_actions import SUB_ACTIONS

SETS = sorted(CONTROLLED_SETS)
PLACE, FINE, COARSE = (CONTROLLED_SETS[name] for name in ("place", "fine_order", "coarse_order"))


def plan(controlled, label, seed):
    return controlled.plan(label, np.random.default_rng(seed))


def drawn(controlled, label, seed, noise=2.0):
    return draw_planned_clip(controlled, label, np.random.default_rng(seed), noise)


def in_no_order(frames):
    """Frames, whatever they are arrays of, as a multiset."""
    return frozenset(collections.Counter(frame.tobytes() for frame in frames).items())


def without_order(one):
    """Who does what in the frames, the actor told apart, but not in which order."""
    others = np.delete(one.amounts, one.actor, axis=0)
    together = np.concatenate([one.amounts[[one.actor]], others])
    return in_no_order(np.moveaxis(together, 1, 0))


def without_place(one):
    """All poses of each frame, and that one of them is orange, but not which."""
    return tuple(in_no_order(frame) for frame in np.moveaxis(one.amounts, 1, 0))


def without_memory(one):
    """What is left at the last frame of whoever forgets what is older than the shortest gap."""
    return (one.actor, one.amounts[:, -COARSE_GAP[0] :].tobytes())


def best_accuracy(controlled, seen, seed):
    """Of whoever sees `seen` of a clip alone: classes whose twins look alike are one guess."""
    looks = {seen(plan(controlled, label, seed)) for label in controlled.classes}
    return len(looks) / len(controlled.classes)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", range(12))
def test_without_an_ability_nothing_beats_the_bound_and_with_all_every_class_is_told(name, seed):
    controlled = CONTROLLED_SETS[name]
    for seen in (without_order, without_place, without_memory):
        found = best_accuracy(controlled, seen, seed)
        assert found == pytest.approx(getattr(controlled, seen.__name__)), seen.__name__
    assert best_accuracy(controlled, lambda one: (one.actor, one.amounts.tobytes()), seed) == 1


def test_each_set_but_the_control_needs_one_ability_that_no_other_set_isolates():
    def needs(name):
        one = CONTROLLED_SETS[name]
        bounds = (one.without_place, one.without_order, one.without_memory)
        return [bound < 1 for bound in bounds]

    assert needs("single_frame") == [False, False, False]
    assert needs("place") == [True, False, False]
    assert needs("fine_order") == [False, True, False]
    assert needs("coarse_order") == [False, True, True]


@pytest.mark.parametrize("controlled", [FINE, COARSE], ids=lambda one: one.name)
def test_frames_of_both_orders_are_the_same_pictures(controlled):
    first, second = controlled.classes[0].split("-then-")
    assert f"{second}-then-{first}" in controlled.classes
    clip = drawn(controlled, f"{first}-then-{second}", seed=3, noise=0)
    other = drawn(controlled, f"{second}-then-{first}", seed=3, noise=0)
    assert (clip != other).any()
    assert in_no_order(clip) == in_no_order(other)


@pytest.mark.parametrize("controlled", [FINE, COARSE], ids=lambda one: one.name)
def test_a_clip_played_backwards_is_a_clip_of_the_other_order(controlled):
    # So neither the beginning nor the end of clips has a look of its own.
    first, second = controlled.classes[0].split("-then-")
    forth = collections.Counter()
    back = collections.Counter()
    for seed in range(4000):
        forth[plan(controlled, f"{first}-then-{second}", seed).amounts.tobytes()] += 1
        reversed_plan = plan(controlled, f"{second}-then-{first}", seed + 4000).amounts[:, ::-1]
        back[reversed_plan.tobytes()] += 1
    assert forth.keys() == back.keys()
    for timeline in forth:
        # Counts of 4000 draws; four standard deviations of their difference.
        assert abs(forth[timeline] - back[timeline]) < 4 * np.sqrt(2 * forth[timeline]) + 4


def test_coarse_events_are_whole_and_as_far_apart_as_stated():
    gaps = set()
    for seed in range(60):
        label = COARSE.classes[seed % 6]
        amounts = plan(COARSE, label, seed).amounts[0]
        of_events = [amounts[:, SUB_ACTIONS.index(name)] for name in label.split("-then-")]
        starts = [int(np.flatnonzero(of)[0]) for of in of_events]
        for start, of in zip(starts, of_events, strict=True):
            assert tuple(of[start : start + len(LONG_EVENT)]) == LONG_EVENT
        assert amounts.sum() == pytest.approx(2 * sum(LONG_EVENT))
        gaps.add(starts[1] - starts[0] - len(LONG_EVENT))
        assert not amounts[[0, -1]].any()
    assert gaps == set(range(COARSE_GAP[0], COARSE_GAP[1] + 1))


def test_all_colours_have_one_luminance():
    for colour in (ACTOR_COLOUR, *DISTRACTOR_COLOURS):
        assert np.dot(colour, LUMINANCE_WEIGHTS) == pytest.approx(LUMINANCE, abs=0.1)


def test_twins_of_the_place_set_are_the_same_but_for_their_colours():
    clips = [drawn(PLACE, label, seed=4, noise=0).astype(float) for label in PLACE.classes]
    for one in clips[1:]:
        assert np.abs(one - clips[0]).max() > 50
        grey = (one - clips[0]) @ np.array(LUMINANCE_WEIGHTS)
        assert np.abs(grey).max() < 1.1  # pixels are whole numbers


@pytest.mark.parametrize("seed", range(3))
def test_twins_of_the_place_set_have_as_much_of_every_colour(seed):
    # Larger poses wear paler colours: the sum of each channel over the canvas stays.
    sums = np.array(
        [
            drawn(PLACE, label, seed, noise=0)[0].sum(axis=(0, 1), dtype=float)
            for label in PLACE.classes
        ]
    )
    amount_of_red = 290 * (ACTOR_COLOUR[0] - LUMINANCE)
    assert np.ptp(sums, axis=0).max() < 0.02 * amount_of_red


@functools.cache
def place_features(num_clips, first_seed):
    """One frame of each of some clips of the place set: features and labels."""
    one_frame = dataclasses.replace(
        PLACE,
        num_frames=1,
        plan=lambda label, rng: ClipPlan(
            PLACE.plan(label, rng).amounts[:, :1], PLACE.plan(label, rng).actor
        ),
    )
    labels = np.arange(num_clips) % 3
    frames = [
        drawn(one_frame, PLACE.classes[label], first_seed + number)
        for number, label in enumerate(labels)
    ]
    return load_backbone("filter_bank").features(np.concatenate(frames)), labels


def ridge_accuracy(vectors, labels, strength=1e-2):
    """Fits on the first half of the clips, tests on the others."""
    half = len(labels) // 2
    mean, deviation = vectors[:half].mean(0), vectors[:half].std(0) + 1e-6
    inputs = np.concatenate([(vectors - mean) / deviation, np.ones((len(labels), 1))], axis=1)
    gram = inputs[:half].T @ inputs[:half] + strength * half * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs[:half].T @ np.eye(3)[labels[:half]])
    return np.mean((inputs[half:] @ weights).argmax(1) == labels[half:])


def test_mean_over_the_positions_says_nothing_of_the_place_class_and_binding_says_it_all():
    features, labels = place_features(480, first_seed=1000)
    pooled = features.mean(axis=(1, 2))
    # 240 test clips: chance 1/3 with a deviation of 0.03.
    assert ridge_accuracy(pooled, labels) < 1 / 3 + 0.1
    products = pooled[:, :, None] * pooled[:, None]
    assert ridge_accuracy(products.reshape(len(labels), -1), labels, strength=1.0) < 1 / 3 + 0.1
    # Red (channel 18) times the strokes (0 to 15) of the same cell: what stands where red is.
    bound = (features[..., 18:19] * features[..., :16]).mean(axis=(1, 2))
    assert ridge_accuracy(bound / bound.sum(1, keepdims=True), labels) > 0.9


@pytest.mark.parametrize("name", SETS)
def test_clips_have_the_stated_length_and_a_seed_gives_one_clip(name):
    controlled = CONTROLLED_SETS[name]
    label = controlled.classes[0]
    frames = drawn(controlled, label, seed=1)
    assert frames.shape == (controlled.num_frames, 112, 112, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, drawn(controlled, label, seed=1))
    assert (frames != drawn(controlled, label, seed=2)).any()


def test_written_set_has_equal_classes_and_holds_what_was_drawn(tmp_path):
    numbers = {"train": 6, "validation": 3, "test": 3}
    clip_list = write_controlled_set(tmp_path / "clips", "place", numbers, seed=7)
    assert read_clip_list(tmp_path / "clips") == clip_list
    assert clip_list.classes == PLACE.classes == tuple(sorted(PLACE.classes))
    for split, number in numbers.items():
        labels = [clip.label for clip in clip_list.clips_of_split(split)]
        assert collections.Counter(labels) == dict.fromkeys(PLACE.classes, number // 3)
    clip = clip_list.clips[0]
    frames = np.stack(list(read_frames(clip_list.path_of(clip))))
    rng = np.random.default_rng((7, *clip.path.encode()))
    assert np.abs(frames.astype(float) - draw_planned_clip(PLACE, clip.label, rng)).mean() < 5


def test_clips_of_other_splits_and_seeds_are_others(tmp_path):
    numbers = {"train": 3, "test": 3}
    for seed in (0, 1):
        write_controlled_set(tmp_path / str(seed), "single_frame", numbers, seed)
    written = [path.read_bytes() for path in sorted(tmp_path.rglob("*.mp4"))]
    assert len(written) == 12 == len(set(written))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jump", {"train": 3}, 0), r"one of single_frame, place.*Received: 'jump'"),
        (("place", {"train": 4}, 0), r"multiple of the 3 classes of place.*train=4"),
        (("place", {"train": 0}, 0), r"above 0. Received: train=0"),
        (("place", {"train": 3}, -1), r"`seed` must be 0 or more.*-1"),
    ],
)
def test_bad_numbers_are_errors_that_leave_nothing_behind(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_controlled_set(tmp_path / "clips", *arguments)
    assert not list(tmp_path.iterdir())


def test_unknown_class_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"class of place: raise, squat, stretch. .*'jump'"):
        draw_planned_clip(PLACE, "jump", np.random.default_rng(0))
