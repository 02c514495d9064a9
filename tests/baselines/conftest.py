"""What holds for the tests of the baselines: no pictures, where nobody looks at them."""

import pytest


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    """Three pictures a method would take longer than all the rest."""
    monkeypatch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
