"""Methods that are no Keras model, as yardsticks: pooled features, trajectories.

pooled_baselines.py    linear classifiers on pooled features of shards; `cham baselines`
beside_runs.py         the same beside a run that is evaluated; `cham evaluate`
pooled_clips.py, pooling.py            one pass over the shards, and what it computes
linear_classifiers.py  what is fitted
held_out.py, held_out_choice.py        how its strength is chosen
trajectories/          point trajectories relative to reference points; `cham trajectories`
method_folder.py       what each method leaves behind
"""

from cham_keras.baselines.beside_runs import baselines_beside_runs, read_baselines_beside_run
from cham_keras.baselines.pooled_baselines import pooled_baselines

__all__ = ["baselines_beside_runs", "pooled_baselines", "read_baselines_beside_run"]
