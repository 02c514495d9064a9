"""Fine-tuning a run and the CNN below it from frames: the paper's future work.

finetune.py          the flow, from a run on stored features to a tuned run
settings.py          how long, how fast, which layers, which frames
tuned_model.py       the model on frames, compiled; unfreezing.py, two_rate_adam.py: what moves
step_memory.py       whether a step fits into memory
frame_batches.py     the clips and their batches
staged_fit.py        the fit, stage after stage, with the callbacks of `training`
finish.py            the files of the tuned run
frame_evaluation.py  a run scored from frames and crops
"""

from cham_keras.finetuning.finetune import finetune
from cham_keras.finetuning.frame_evaluation import evaluate_from_frames
from cham_keras.finetuning.settings import FinetuningSettings, FrameEvaluationSettings

__all__ = [
    "FinetuningSettings",
    "FrameEvaluationSettings",
    "evaluate_from_frames",
    "finetune",
]
