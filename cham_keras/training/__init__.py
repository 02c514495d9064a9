"""Training a model on shards: settings in, a run folder out."""

from cham_keras.training.train import clip_datasets, compile_model, resolve, train

__all__ = ["clip_datasets", "compile_model", "resolve", "train"]
