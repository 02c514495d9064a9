"""What the tests of evaluation share."""

import pytest


@pytest.fixture
def no_pictures(monkeypatch):
    """Results are written without their pictures, which take the most time."""
    monkeypatch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
