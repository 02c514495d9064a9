"""Training a model on shards: settings in, a run folder out."""

from cham_keras.training.train import compile_model, train

__all__ = ["compile_model", "train"]
