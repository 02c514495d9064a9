"""The trajectory-based method; needs `pip install 'cham-keras[classic]'`.

tracking.py, patches.py   points through a clip, and what is seen around them
reference_points.py       their motion relative to the rest
clip_descriptors.py       both, a file a clip
codebook.py               many descriptors become one histogram
chi_square_svm.py         the classifier
trajectory_baseline.py    from a clip list to results; `cham trajectories`
"""

from cham_keras.baselines.trajectories.settings import TrackingSettings, TrajectorySettings
from cham_keras.baselines.trajectories.trajectory_baseline import trajectory_baseline

__all__ = ["TrackingSettings", "TrajectorySettings", "trajectory_baseline"]
