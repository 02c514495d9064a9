"""Evaluating runs on a split of shards: scores, tables, plots, comparisons.

results.py, results_files.py      what every method's evaluation comes to, and its files
evaluate.py, scoring.py           a run's passes over the clips
scores.py, calibration.py, frames_seen.py   one figure each from probabilities
bootstrap.py                      intervals by drawing groups of clips
seeds.py, folds.py, paired.py     several seeds, folds, two methods on the same clips
report.py, plots.py, curve_plots.py         Markdown and pictures
"""

from cham_keras.evaluation.evaluate import evaluate
from cham_keras.evaluation.folds import pool_folds, pool_runs
from cham_keras.evaluation.frames_seen import FrameFigures
from cham_keras.evaluation.paired import PairedComparison, compare_folders, compare_paired
from cham_keras.evaluation.results import Results, summarize
from cham_keras.evaluation.results_files import read_results
from cham_keras.evaluation.seeds import SeedSummary, ensemble, summarize_seeds

__all__ = [
    "FrameFigures",
    "PairedComparison",
    "Results",
    "SeedSummary",
    "compare_folders",
    "compare_paired",
    "ensemble",
    "evaluate",
    "pool_folds",
    "pool_runs",
    "read_results",
    "summarize",
    "summarize_seeds",
]
