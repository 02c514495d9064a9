"""Choosing a recipe's settings by nested cross-validation, one line a choice.

settings.py       the recipe, and what each line changes in it
run_ablation.py   the runs: every line without every pair of folds
line_scores.py    how each line does, which one each fold would choose, what that gives
ablation_table.py the table
"""

from cham_keras.ablation.run_ablation import run_ablation
from cham_keras.ablation.settings import AblationLine, AblationSettings

__all__ = ["AblationLine", "AblationSettings", "run_ablation"]
