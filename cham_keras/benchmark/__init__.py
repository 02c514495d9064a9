"""Measuring the recurrence: against other implementations, and against the machine."""

from cham_keras.benchmark.results import BenchmarkResults
from cham_keras.benchmark.run_benchmark import run_benchmark
from cham_keras.benchmark.settings import BenchmarkSettings

__all__ = ["BenchmarkResults", "BenchmarkSettings", "run_benchmark"]
