"""Extraction by many workers, as an Apache Beam pipeline; it gives the shards of `extract`."""

from cham_keras.data.extraction.beam.extraction import extract_with_beam

__all__ = ["extract_with_beam"]
