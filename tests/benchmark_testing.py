"""What the tests of the benchmark share: sizes that run in a moment."""

from cham_keras.benchmark import BenchmarkSettings

TINY = {
    "batch": 2,
    "steps": 3,
    "height": 3,
    "width": 4,
    "channels": 5,
    "filters": 2,
    "repeats": 1,
    "matrix_size": 8,
}


def tiny_settings(**changes):
    """Settings of a benchmark that takes a second."""
    return BenchmarkSettings(**{**TINY, "systems": ("hoisted", "plain_rnn"), **changes})
