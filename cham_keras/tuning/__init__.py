"""Searching kernel sizes, channels and the rest with keras-tuner, alone or on several machines.

search_space.py, settings.py     the values that are tried, and all that decides a search
proposals.py, oracles.py         what can be tried, and what is tried next
hyper_model.py, tuner.py         from values to a trained and measured model
trial_cost.py                    what a model costs, and what is too large to start
trials.py, trade_offs.py         what has ended, and the best of it
books.py, report.py, watch.py    what is read afterwards and meanwhile
cluster.py                       chief and workers
search_folder.py                 whose a folder is, and who may write in it
tune.py                          all of it
"""

from cham_keras.tuning.cluster import ChiefUnreachableError, Cluster
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.search_space import SearchSpace, wide_space
from cham_keras.tuning.trade_offs import best_trade_offs, importances
from cham_keras.tuning.trial_cost import TrialCost
from cham_keras.tuning.trials import FailedTrial, Search, Trial
from cham_keras.tuning.tune import tune

__all__ = [
    "CHAMHyperModel",
    "ChiefUnreachableError",
    "Cluster",
    "FailedTrial",
    "Search",
    "SearchSpace",
    "Trial",
    "TrialCost",
    "best_trade_offs",
    "importances",
    "tune",
    "wide_space",
]
