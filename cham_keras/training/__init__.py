"""Training a model on shards: settings in, a run folder out.

train.py, fit.py       the flow
compilation.py         model, precision, optimizer, learning rate, loss
training_data.py       batches from any step on, weights of classes
feature_statistics.py  what standardization subtracts and divides by
run_start.py           new run, or one that goes on; checkpoint.py, resume_state.py: from what
callbacks/             what happens beside the steps
bad_batches.py         why a loss is not finite
stop_signals.py, input_wait.py  Ctrl-C and SIGTERM; time without input
devices.py, hosts.py   which devices and hosts; device_layout.py, mirrored_devices.py,
                       parallel_devices.py, parallel_hosts.py, host_batches.py: how
"""

from cham_keras.training.bad_batches import NonFiniteFeaturesError, NonFiniteLossError
from cham_keras.training.compilation import compile_model
from cham_keras.training.stop_signals import TrainingStopped
from cham_keras.training.train import resolve, train, trained
from cham_keras.training.training_data import clip_datasets

__all__ = [
    "NonFiniteFeaturesError",
    "NonFiniteLossError",
    "TrainingStopped",
    "clip_datasets",
    "compile_model",
    "resolve",
    "train",
    "trained",
]
