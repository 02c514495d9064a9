"""What the console command keeps off the terminal, and what it lets through."""

import logging

import pytest

from cham_keras.cli.quiet_start import import_backend_quietly


@pytest.fixture
def logger():
    found = logging.getLogger("tensorflow")
    filters = list(found.filters)
    yield found
    found.filters[:] = filters


def test_only_the_word_of_retracing_is_kept_off(logger):
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)
    try:
        import_backend_quietly()
        logger.warning("5 out of the last 5 calls to f triggered tf.function retracing. Tracing is")
        logger.warning("the disk is full")
    finally:
        logger.removeHandler(handler)
    assert said == ["the disk is full"]
