"""Motion relative to reference points: what moves otherwise than the rest.

Comes in: a block of trajectories. Goes out: their motion relative to a global and to a
local reference point, and which of them are worth keeping. `clip_descriptors` calls this.

After Jiang et al., "Trajectory-based modeling of human actions with motion reference
points", ECCV 2012. There, global reference points are the mean motions of the largest
clusters of a clip's trajectories, and local ones are other trajectories: histograms over
pairs of codewords hold relative location and relative motion, whose dimension is then
reduced. What is simplified here:

- one global reference point for all trajectories that start in the same frame: the largest
  of a few clusters, by its median instead of its mean;
- the local reference point of a trajectory is the mean motion of its neighbours, and no
  pairs of codewords are formed.
"""

import dataclasses

import numpy as np
from sklearn.neighbors import radius_neighbors_graph

from cham_keras.baselines.trajectories.opencv import load_opencv

# As in dense trajectories: one that spreads less than this (standard deviation of its
# positions, in pixels) stands still; one that spreads more, or takes one step that is longer
# than 20 pixels and than most of its whole way, is an error of the tracking.
_LEAST_SPREAD_PIXELS = 3**0.5
_MOST_SPREAD_PIXELS = 50.0
_LONGEST_STEP_PIXELS = 20.0
_LONGEST_STEP_SHARE = 0.7
_CLUSTERING_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class RelativeMotion:
    """The motion of a block's trajectories relative to their reference points.

    Attributes:
        to_global: `(trajectories, steps, 2)`, pixels a step.
        to_local: the same.
        is_kept: bool `(trajectories,)`: neither still nor an error of the tracking, both
            relative to the global reference point.
    """

    to_global: np.ndarray
    to_local: np.ndarray
    is_kept: np.ndarray

    def descriptors(self) -> dict[str, np.ndarray]:
        """The kept trajectories' shapes by channel: `(kept trajectories, steps * 2)` float32.

        A shape is the sequence of relative displacements, divided by the length of the way
        relative to the global reference point. So a trajectory that moves with its
        neighbours has small numbers in `local`, and not noise blown up to length 1.
        """
        kept = self.to_global[self.is_kept]
        way = np.linalg.norm(kept, axis=2).sum(axis=1)[:, None, None]
        return {
            "global": _flat(kept / way),
            "local": _flat(self.to_local[self.is_kept] / way),
        }


def relative_motion(
    positions: np.ndarray, num_clusters: int, neighbourhood_pixels: float, seed: int
) -> RelativeMotion:
    """Takes the motion of the reference points away.

    Args:
        positions: `(trajectories, steps + 1, 2)`, x and y in pixels, of at least one.
        num_clusters: clusters of motions, of which the largest is the global reference
            point; of fewer trajectories, each is a cluster.
        neighbourhood_pixels: who starts no farther away is a neighbour. A trajectory
            without neighbours has the global reference point as its local one.
        seed: of the clusters.
    """
    displacements = np.diff(positions, axis=1)
    to_global = displacements - global_reference(displacements, num_clusters, seed)
    neighbours = radius_neighbors_graph(
        positions[:, 0], neighbourhood_pixels, include_self=False
    )  # (trajectories, trajectories) sparse, of ones
    counts = np.asarray(neighbours.sum(axis=1))[:, 0]
    sums = neighbours @ _flat(to_global)
    local = (sums / np.maximum(counts, 1)[:, None]).reshape(to_global.shape)
    return RelativeMotion(to_global, to_global - local, _is_kept(to_global))


def global_reference(displacements: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """The dominant motion: the median displacement of the largest cluster.

    Args:
        displacements: `(trajectories, steps, 2)`.
        num_clusters: number of clusters.
        seed: of their first centres.

    Returns:
        `(steps, 2)`, pixels a step.
    """
    cv2 = load_opencv()
    if len(displacements) == 1:  # OpenCV would take one long sample for many short ones
        return displacements[0]
    samples = _flat(displacements)
    cv2.setRNGSeed(seed)  # of this thread's generator only
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    _, cluster, _ = cv2.kmeans(
        samples,
        min(num_clusters, len(samples)),
        None,
        criteria,
        _CLUSTERING_ATTEMPTS,
        cv2.KMEANS_PP_CENTERS,
    )
    largest = np.bincount(cluster[:, 0]).argmax()
    return np.median(displacements[cluster[:, 0] == largest], axis=0)


def _is_kept(to_global: np.ndarray) -> np.ndarray:
    spread = np.cumsum(to_global, axis=1).std(axis=1)  # (trajectories, 2)
    steps = np.linalg.norm(to_global, axis=2)
    longest, way = steps.max(axis=1), steps.sum(axis=1)
    moves = (spread >= _LEAST_SPREAD_PIXELS).any(axis=1)
    is_lost = (spread > _MOST_SPREAD_PIXELS).any(axis=1)
    jumps = (longest > _LONGEST_STEP_PIXELS) & (longest > _LONGEST_STEP_SHARE * way)
    return moves & ~is_lost & ~jumps


def _flat(displacements: np.ndarray) -> np.ndarray:
    """(trajectories, steps, 2) to (trajectories, steps * 2) float32."""
    number, steps, _ = displacements.shape
    return np.ascontiguousarray(displacements.reshape(number, 2 * steps), np.float32)
