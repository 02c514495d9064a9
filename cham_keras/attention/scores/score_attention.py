"""Scores the attention of a run on the clips of a split.

Comes in: a run, shards, and boxes where there are some. Goes out: `AttentionScores`. The
features come from the shards, so neither a backbone's weights nor a frame is needed; of the
videos, only the sizes that boxes are counted in. `cham score-attention` calls it.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cham_keras import models
from cham_keras.attention.clip_choice import spread_over_classes
from cham_keras.attention.scores.attention_scores import AttentionScores
from cham_keras.attention.scores.boxes_of_clips import covered_cells
from cham_keras.attention.scores.boxes_on_cells import cell_middles
from cham_keras.attention.scores.in_boxes import attention_in_boxes, centre_map, pointing_hits
from cham_keras.attention.scores.measures import (
    CENTRE,
    CHANCE,
    CORRELATION,
    DELETION,
    ENTROPY,
    IN_BOXES,
    INSERTION,
    MEAN_MAP,
    MODEL,
    POINTING,
    SHUFFLED,
    SHUFFLED_ATTENTION,
    UNIFORM,
)
from cham_keras.attention.scores.removal import area_under, order_of, removal_curves
from cham_keras.attention.scores.shuffled_weights import shuffle_weights
from cham_keras.attention.scores.spread import rank_correlations, relative_entropy_of_maps
from cham_keras.data import (
    ClipRecord,
    clip_dataset,
    clips_in_split,
    grid_of_spec,
    read_manifest,
    shard_errors_named,
)
from cham_keras.data.prepare import Box
from cham_keras.data.reading import frame_sampling
from cham_keras.models.temporal_differences import split_at_differences
from cham_keras.paths import AnyPath
from cham_keras.progress import track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import require_same_features

#: Points of the curves of insertion and deletion, both ends among them.
DEFAULT_REMOVAL_POINTS = 8
DEFAULT_SHUFFLES = 3


def score_attention(
    run: Run,
    shards: AnyPath | str,
    split: str = "test",
    boxes: Sequence[Box] = (),
    *,
    num_clips: int | None = None,
    num_shuffles: int = DEFAULT_SHUFFLES,
    removal_points: int = DEFAULT_REMOVAL_POINTS,
    clips_root: Path | str | None = None,
    seed: int = 0,
) -> AttentionScores:
    """Scores where a run's model looks, and holds it against maps that know nothing.

    A clip is shown as evaluation shows it: T evenly spaced frames. Repetitions of a short
    clip's last frame count nothing, but for insertion and deletion, where they count as in the
    clip's score.

    Args:
        run: a finished run of a model with attention.
        shards: shards with the run's features and classes.
        split: name of the split.
        boxes: where the actors are, as `cham prepare` writes and `read_boxes` reads them;
            without them there is no pointing game and no attention in boxes. Frames without
            a box count nothing there.
        num_clips: so many clips, spread over the classes; all by default.
        num_shuffles: how often the weights are shuffled.
        removal_points: points of the curves of insertion and deletion, at least 2; 0 leaves
            them out, and with them most of the time that this takes.
        clips_root: the folder of the videos; where they lay at extraction by default. Only
            the sizes of frames are read there, and only with boxes.
        seed: of shuffles, orders of chance and intervals.

    Returns:
        the scores; `AttentionScores.write` writes them.

    Raises:
        FileNotFoundError: a video whose boxes are given is not where it was.
        ValueError: the model has no attention, the shards hold other features or no such
            split, no clip has a box, or a number breaks its rule.
    """
    _check_numbers(num_shuffles, removal_points, seed)
    manifest = read_manifest(shards)
    require_same_features(run, manifest, shards)
    clips = clips_in_split(shards, split)
    chosen = list(clips) if num_clips is None else spread_over_classes(clips, num_clips)
    grid = grid_of_spec(manifest.backbone)
    height, width = manifest.feature_shape[:2]
    root = Path(manifest.clips_root if clips_root is None else clips_root)
    numbers = {clip.id: _frames_of(clip, run.num_frames) for clip in chosen}
    in_video = {clip: places * manifest.frame_stride for clip, places in numbers.items()}
    shape = (height, width)
    covered = covered_cells(chosen, in_video, boxes, root, grid, shape) if boxes else {}
    centre = centre_map(*cell_middles(grid, height, width))
    scorer = _Scorer(run, centre, seed, num_shuffles, removal_points)
    with shard_errors_named():
        seen_clips = scorer.clips(shards, split, clips, {clip.id for clip in chosen})
        for clip, seen in track(seen_clips, f"scoring attention, {split}", len(chosen)):
            scorer.add(clip, seen, len(numbers[clip.id]))
    if covered:
        scorer.add_boxes(covered)
    return scorer.scores(split, chosen, covered)


@dataclasses.dataclass
class _Seen:
    """One clip as all models saw it: maps `(T, height, width)`, removal curves `(points,)`."""

    maps: dict[str, list[np.ndarray]]
    curves: dict[str, dict[str, np.ndarray]]


class _Scorer:
    """Shows batches to the model and to its shuffled twins, and gathers values of clips."""

    def __init__(
        self, run: Run, centre: np.ndarray, seed: int, num_shuffles: int, removal_points: int
    ) -> None:
        self.run, self.centre, self.seed, self.num_shuffles = run, centre, seed, num_shuffles
        trained = run.load_model()
        self.model = models.with_attention(trained)
        # Cells come and go behind the differences: a cell that came at one step and went at the
        # next would be a change where nothing moves.
        self.differences, self.rest = split_at_differences(trained)
        # One model that takes all weights in turn: it is traced once.
        self.weights = {
            MODEL: [self.model.get_weights()],
            SHUFFLED: [self._shuffled(number) for number in range(num_shuffles)],
            SHUFFLED_ATTENTION: [
                self._shuffled(number, "attention") for number in range(num_shuffles)
            ],
        }
        # Squares: the first few cells matter most. Of 7 x 7 cells, 8 points are 0, 1, 4, 9, ...
        cells = centre.size
        self.shares = np.unique(np.round(np.linspace(0, 1, removal_points) ** 2 * cells)) / cells
        self.maps: dict[str, dict[str, list[np.ndarray]]] = {}
        self.values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        self.curves: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
        self.entropies: list[np.ndarray] = []

    def clips(
        self, shards: AnyPath | str, split: str, clips: Sequence[ClipRecord], chosen: set[str]
    ) -> Iterator[tuple[ClipRecord, _Seen]]:
        """Goes through the split once."""
        data = self.run.settings.data
        batches = clip_dataset(
            shards,
            split,
            num_frames=self.run.num_frames,
            batch_size=data.batch_size,
            short_clips=data.short_clips,
        )
        left = iter(clips)
        for inputs, _ in batches:
            features = np.asarray(inputs["features"])
            lengths = np.asarray(inputs["lengths"]).astype("int32")
            of_batch = [next(left) for _ in lengths]
            wanted = [index for index, clip in enumerate(of_batch) if clip.id in chosen]
            if not wanted:
                continue
            seen = self._seen(features[wanted], lengths[wanted], [of_batch[i] for i in wanted])
            yield from zip([of_batch[index] for index in wanted], seen, strict=True)

    def add(self, clip: ClipRecord, seen: _Seen, steps: int) -> None:
        """Takes in a clip whose first `steps` steps saw frames of their own."""
        maps = {name: [of[:steps] for of in shuffles] for name, shuffles in seen.maps.items()}
        self.maps[clip.id] = maps
        entropy = relative_entropy_of_maps(maps[MODEL][0])
        self.entropies.append(entropy)
        self.values[ENTROPY][MODEL][clip.id] = float(entropy.mean())
        for name in (SHUFFLED, SHUFFLED_ATTENTION):
            self.values[ENTROPY][name][clip.id] = float(
                np.mean([relative_entropy_of_maps(of) for of in maps[name]])
            )
            self.values[CORRELATION][name][clip.id] = float(
                np.mean([rank_correlations(maps[MODEL][0], of) for of in maps[name]])
            )
        for measure, of_maps in seen.curves.items():
            for name, curve in of_maps.items():
                self.values[measure][name][clip.id] = float(area_under(curve, self.shares))
                self.curves[measure][name].append(curve)

    def add_boxes(self, covered: dict[str, np.ndarray]) -> None:
        """Scores all maps against boxes; frames without a box are nan in `covered`."""
        own = np.concatenate([maps[MODEL][0] for maps in self.maps.values()])
        fixed = {
            MEAN_MAP: own.mean(axis=0),
            CENTRE: self.centre,
            UNIFORM: np.full(self.centre.shape, 1 / self.centre.size),
        }
        for clip_id, of_clip in covered.items():
            with_box = np.isfinite(of_clip).all(axis=(1, 2))
            of_clip = of_clip[with_box]
            candidates = {name: [of[with_box] for of in self.maps[clip_id][name]] for name in _OWN}
            for name, fixed_map in fixed.items():
                candidates[name] = [np.broadcast_to(fixed_map, of_clip.shape)]
            for name in (MODEL, *fixed, SHUFFLED, SHUFFLED_ATTENTION):
                for measure, of in ((POINTING, pointing_hits), (IN_BOXES, attention_in_boxes)):
                    value = np.mean([of(maps, of_clip) for maps in candidates[name]])
                    self.values[measure][name][clip_id] = float(value)

    def scores(
        self, split: str, clips: Sequence[ClipRecord], covered: dict[str, np.ndarray]
    ) -> AttentionScores:
        """What all clips come to."""
        longest = max(len(of) for of in self.entropies)
        padded = [
            np.pad(of, (0, longest - len(of)), constant_values=np.nan) for of in self.entropies
        ]
        return AttentionScores(
            model=self.run.settings.model.name,
            model_sha256=self.run.model_sha256(),
            split=split,
            seed=self.seed,
            num_shuffles=self.num_shuffles,
            clips=tuple(clips),
            frames_with_boxes=sum(
                int(np.isfinite(of).all(axis=(1, 2)).sum()) for of in covered.values()
            ),
            values={
                measure: {
                    name: np.array([of.get(clip.id, np.nan) for clip in clips])
                    for name, of in of_maps.items()
                }
                for measure, of_maps in self.values.items()
            },
            shares=self.shares,
            curves={
                measure: {name: np.mean(of, axis=0) for name, of in of_maps.items()}
                for measure, of_maps in self.curves.items()
            },
            entropy_by_step=np.nanmean(padded, axis=0),
        )

    def _seen(
        self, features: np.ndarray, lengths: np.ndarray, clips: Sequence[ClipRecord]
    ) -> list[_Seen]:
        maps = {
            name: [self._maps(weights, features, lengths) for weights in of_name]
            for name, of_name in self.weights.items()
        }
        self.model.set_weights(self.weights[MODEL][0])
        curves: dict[str, dict[str, np.ndarray]] = {DELETION: {}, INSERTION: {}}
        orders_of = self._orders(maps, clips) if len(self.shares) else {}
        changes = _as_numpy(self.differences(features)).astype("float32") if orders_of else features
        for name, orders in orders_of.items():
            found = [
                removal_curves(
                    lambda shown: _as_numpy(self.rest.predict_on_batch([shown, lengths])),
                    changes,
                    lengths,
                    order,
                    self.shares,
                )
                for order in orders
            ]
            curves[DELETION][name], curves[INSERTION][name] = np.mean(found, axis=0)
        return [
            _Seen(
                {name: [of[index] for of in shuffles] for name, shuffles in maps.items()},
                {
                    measure: {name: of[index] for name, of in of_maps.items()}
                    for measure, of_maps in curves.items()
                    if of_maps
                },
            )
            for index in range(len(clips))
        ]

    def _orders(
        self, maps: dict[str, list[np.ndarray]], clips: Sequence[ClipRecord]
    ) -> dict[str, list[np.ndarray]]:
        """In which cells go or come: by each map, and by chance, anew for each step."""
        chance = []
        for clip in clips:
            # The clip's own numbers, whatever batch it is in.
            rng = np.random.default_rng([self.seed, *clip.id.encode()])
            chance.append(rng.random(maps[MODEL][0].shape[1:]))
        return {
            MODEL: [order_of(maps[MODEL][0])],
            CENTRE: [order_of(np.broadcast_to(self.centre, maps[MODEL][0].shape))],
            CHANCE: [order_of(np.stack(chance))],
            SHUFFLED: [order_of(of_shuffle) for of_shuffle in maps[SHUFFLED]],
        }

    def _maps(
        self, weights: list[np.ndarray], features: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        self.model.set_weights(weights)
        maps = self._outputs(features, lengths)["attention"]
        if not np.isfinite(maps).all():
            raise ValueError(
                f"The attention of {self.run.folder} must be finite. Received: maps with nan or "
                "infinity; the model's weights are broken, or the features are. Train it again."
            )
        # Padded steps have no attention; theirs are left out later.
        sums = maps.sum(axis=(2, 3), keepdims=True)
        return maps / np.where(sums > 0, sums, 1)

    def _outputs(self, features: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        inputs = {"features": features, "lengths": lengths}
        return {name: _as_numpy(of) for name, of in self.model.predict_on_batch(inputs).items()}

    def _shuffled(self, number: int, part: str = "") -> list[np.ndarray]:
        trained = self.model.get_weights()
        shuffle_weights(self.model, self.seed + number, part)
        shuffled = self.model.get_weights()
        self.model.set_weights(trained)
        return shuffled


#: Maps that come from a model and differ from clip to clip.
_OWN = (MODEL, SHUFFLED, SHUFFLED_ATTENTION)


def _as_numpy(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(values))


def _frames_of(clip: ClipRecord, num_frames: int) -> np.ndarray:
    """Places of the frames that a clip shows, each once, among those that shards hold."""
    return frame_sampling.uniform(clip.num_frames, num_frames).numpy()


def _check_numbers(num_shuffles: int, removal_points: int, seed: int) -> None:
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0. Received: {seed}.")
    if num_shuffles < 1:
        raise ValueError(f"`num_shuffles` must be at least 1. Received: {num_shuffles}.")
    if removal_points < 0 or removal_points == 1:
        raise ValueError(f"`removal_points` must be 0, or at least 2. Received: {removal_points}.")
