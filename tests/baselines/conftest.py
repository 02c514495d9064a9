"""What holds for the tests of the baselines: no pictures, where nobody looks at them."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def without_pictures():
    """Three pictures a method would take longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
        yield
