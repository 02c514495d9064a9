"""Evaluating a run on a split of shards: scores, tables, plots."""

from cham_keras.evaluation.evaluate import evaluate
from cham_keras.evaluation.results import Results

__all__ = ["Results", "evaluate"]
