"""Clips in which one claim is tested at a time, and the comparison of all methods on them.

plans.py       what happens in a clip; what is useless in it, by construction
drawing.py     from a plan to frames
clips.py       videos and their clip list
methods.py     what is compared, and how it is trained
experiment.py  all methods on all sets with several seeds
statistics.py  means and paired differences over the seeds
report.py      tables and a picture
"""

from cham_keras.demo.controlled.clips import write_controlled_set
from cham_keras.demo.controlled.drawing import draw_planned_clip
from cham_keras.demo.controlled.experiment import ProofSettings, outcomes, run_proof, take_over
from cham_keras.demo.controlled.plans import CONTROLLED_SETS, ClipPlan, ControlledSet
from cham_keras.demo.controlled.report import write_report

__all__ = [
    "CONTROLLED_SETS",
    "ClipPlan",
    "ControlledSet",
    "ProofSettings",
    "draw_planned_clip",
    "outcomes",
    "run_proof",
    "take_over",
    "write_controlled_set",
    "write_report",
]
