"""Codebooks: from a clip's many descriptors to one histogram of words.

Comes in: descriptors of one channel. Goes out: words, and histograms of them.
`trajectory_baseline` calls this.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_BATCH_SIZE = 4096
_ATTEMPTS = 3


def fit_codebook(
    clips: Sequence[np.ndarray], num_words: int, most_descriptors: int, seed: int
) -> MiniBatchKMeans:
    """Clusters descriptors of training clips; the centres are the words.

    Args:
        clips: descriptors of each clip, `(trajectories, numbers)`.
        num_words: number of words.
        most_descriptors: about as many are drawn, the same number of each clip that has so
            many.
        seed: of draws and clusters; the same seed gives the same words.

    Raises:
        ValueError: there are fewer descriptors than words.
    """
    generator = np.random.default_rng(seed)
    share = -(-most_descriptors // len(clips))
    drawn = np.concatenate(
        [
            clip[np.sort(generator.choice(len(clip), min(share, len(clip)), replace=False))]
            for clip in clips
        ]
    )
    if len(drawn) < num_words:
        raise ValueError(
            "`num_words` must be at most the number of trajectories of the training clips that "
            f"make the codebook. Received: {num_words} words of {len(drawn)} trajectories. Take "
            "fewer words, or start trajectories more often."
        )
    codebook = MiniBatchKMeans(
        num_words, random_state=seed, n_init=_ATTEMPTS, batch_size=_BATCH_SIZE
    )
    with threadpool_limits(1):  # sums over several threads end in other last digits
        return codebook.fit(drawn)


def word_histogram(codebook: MiniBatchKMeans, descriptors: np.ndarray) -> np.ndarray:
    """Share of each word among a clip's descriptors.

    Args:
        codebook: the words.
        descriptors: `(trajectories, numbers)`.

    Returns:
        `(words,)` float64 that sum to 1; zeros where there is no trajectory.
    """
    words = codebook.predict(descriptors) if len(descriptors) else np.zeros(0, int)
    return np.bincount(words, minlength=codebook.n_clusters) / max(1, len(words))
