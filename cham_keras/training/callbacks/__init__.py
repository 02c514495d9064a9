"""Keras callbacks of a run.

progress.py       one bar for the whole fit
bad_loss.py       a stop at a loss that is no number
tensorboard.py    scalars, the graph, attention maps
keep_run.py       checkpoints, the best model, history, early stopping, stop signals
"""
