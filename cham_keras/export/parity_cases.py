"""Requests to every signature of an export, and what the Keras model says to them.

Comes in: a run and batches of clips. Goes out: cases, each a signature, what goes in, and
what must come out. `parity` has them answered by the export.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from cham_keras.data import Backbone
from cham_keras.data.shards.clip_record import ClipFeatures, record_of_clip
from cham_keras.data.shards.stored_features import as_stored
from cham_keras.export.clip_signature import NUM_TOP_CLASSES, SIGNATURE
from cham_keras.export.example_signatures import (
    CLASSIFY_INPUT,
    CLASSIFY_SIGNATURE,
    EXAMPLES_SIGNATURE,
    evenly_spaced,
)
from cham_keras.export.frame_signature import FRAMES_SIGNATURE
from cham_keras.export.inference import KerasScorer
from cham_keras.export.streaming import INITIAL_SIGNATURE, START_SIGNATURE, STEP_SIGNATURE
from cham_keras.models import start_states, start_states_from_clip, streaming
from cham_keras.runs import Run

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        signature: which is asked.
        inputs: what goes in; strings as arrays of `bytes` objects.
        expected: what must come out, by name, `top_classes` excepted.
    """

    signature: str
    inputs: Arrays
    expected: Arrays = field(repr=False)


def parity_cases(
    run: Run, batches: Sequence[Arrays], *, streams: bool, backbone: Backbone | None
) -> list[Case]:
    """Cases for every signature that a run's export has.

    Args:
        run: the run.
        batches: `features` and `lengths` of each.
        streams: whether the export has signatures for single frames.
        backbone: the one in its graph; None where it takes no frames.
    """
    scorer = KerasScorer(run)
    cases = [Case(SIGNATURE, batch, with_top(scorer(**batch))) for batch in batches]
    for batch in batches:
        cases += _cases_of_examples(run, scorer, batch)
    if streams:
        cases += _cases_of_streams(run, batches[0])
    if backbone is not None:
        cases.append(_case_of_frames(run, scorer, backbone))
    return cases


def with_top(outputs: Arrays) -> Arrays:
    """Adds the best classes' scores."""
    best_first = -np.sort(-outputs["clip_probabilities"], axis=1)
    return {**outputs, "top_scores": best_first[:, :NUM_TOP_CLASSES]}


def _cases_of_examples(run: Run, scorer: KerasScorer, batch: Arrays) -> Iterator[Case]:
    manifest = run.manifest
    clips = [
        features[:length]
        for features, length in zip(batch["features"], batch["lengths"], strict=True)
    ]
    records = [
        record_of_clip(
            ClipFeatures(f"clip-{number}", "test", 0, f"clip-{number}", 25.0, clip),
            *(manifest.classes, manifest.feature_shape, manifest.feature_dtype),
        )[0]
        for number, clip in enumerate(clips)
    ]
    short_clips = run.settings.data.short_clips
    indices, lengths = evenly_spaced(tf.constant(batch["lengths"]), run.num_frames, short_clips)
    features = np.stack(
        [
            as_stored(clip, manifest.feature_dtype)[chosen]
            for clip, chosen in zip(clips, indices.numpy(), strict=True)
        ]
    )
    expected = with_top(scorer(features, lengths.numpy()))
    strings = np.array(records, dtype=object)
    yield Case(EXAMPLES_SIGNATURE, {"examples": strings}, {**expected, "lengths": lengths.numpy()})
    yield Case(
        CLASSIFY_SIGNATURE, {CLASSIFY_INPUT: strings}, {"scores": expected["clip_probabilities"]}
    )


def _cases_of_streams(run: Run, batch: Arrays) -> Iterator[Case]:
    model = run.load_model()
    step = streaming(model)
    try:
        states = start_states(step, len(batch["features"]))
        streams = np.zeros(len(batch["features"]), "int32")
        yield Case(INITIAL_SIGNATURE, {"streams": streams}, states)
    except ValueError:  # it starts from the mean of the clip
        states = start_states_from_clip(model, batch["features"], batch["lengths"])
        yield Case(START_SIGNATURE, batch, states)
    for frame in range(2):
        inputs = {"features": batch["features"][:, min(frame, batch["features"].shape[1] - 1)]}
        outputs = {
            name: keras.ops.convert_to_numpy(output)
            for name, output in step({**inputs, **states}, training=False).items()
        }
        yield Case(STEP_SIGNATURE, {**inputs, **states}, outputs)
        states = {name: outputs[name] for name in states}


def _case_of_frames(run: Run, scorer: KerasScorer, backbone: Backbone) -> Case:
    generator = np.random.default_rng(0)
    size = backbone.spec.image_size
    # Coarse patterns: fine noise is no picture, and of JPEG little is left of it.
    coarse = generator.integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    pictures = np.kron(coarse, np.ones((1, 1, -(-size // 8), -(-size // 8), 1), np.uint8))
    pictures = pictures[:, :, :size, :size]
    jpegs = [[tf.io.encode_jpeg(frame, quality=95).numpy() for frame in clip] for clip in pictures]
    lengths = np.array([3, 2], "int32")
    jpegs[1][2] = b""  # padding, which the graph takes for a black picture
    black = np.zeros((size, size, 3), np.uint8)
    decoded = [
        np.stack([tf.io.decode_jpeg(jpeg).numpy() if jpeg else black for jpeg in clip])
        for clip in jpegs
    ]
    dtype = run.manifest.feature_dtype
    features = np.stack([as_stored(backbone.features_of_resized(clip), dtype) for clip in decoded])
    inputs = {"frames": np.array(jpegs, dtype=object), "lengths": lengths}
    return Case(FRAMES_SIGNATURE, inputs, with_top(scorer(features, lengths)))
