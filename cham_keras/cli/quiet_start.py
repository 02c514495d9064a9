"""Importing Keras and its backend without their notes on the terminal.

TensorFlow writes a dozen lines about processors and drivers to standard error
while it is imported, before any setting of its own can stop them. The console
command imports it here, with standard error turned away for that moment;
errors are raised as ever. One warning that is none is kept off later too.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


def import_backend_quietly() -> None:
    """Imports Keras and lets TensorFlow look for devices, printing nothing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is raised as well
    with _standard_error_turned_away():
        import keras

        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()
            logging.getLogger("tensorflow").addFilter(_says_more_than_retracing)


def _says_more_than_retracing(record: logging.LogRecord) -> bool:
    """Verbs that show data to several models trace each; TensorFlow takes that for a mistake."""
    return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def _standard_error_turned_away() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
