"""A served model: run through TensorFlow's C library, asked by clients, held by a stand-in."""

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.served_model import ServedModel, Signature, TensorInfo
from cham_keras.serving.warmup import replay_warmup

__all__ = ["ServedModel", "Signature", "StatusError", "TensorInfo", "replay_warmup"]
