"""Searching kernel sizes and channels with keras-tuner."""

from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.search import Search, Trial
from cham_keras.tuning.search_space import SearchSpace
from cham_keras.tuning.tune import tune

__all__ = ["CHAMHyperModel", "Search", "SearchSpace", "Trial", "tune"]
