"""What the tests of the report share: a tiny run with films and its page."""

import pytest
from attention_testing import TinyRun, make_tiny_run
from report_testing import HOSTILE_CLASSES, made_up_run

from cham_keras.report import WrittenReport, latency, write_report
from cham_keras.report.pictures import Picture
from cham_keras.runs import Run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A barely trained run, which is wrong about some clips whose films are there."""
    return make_tiny_run(tmp_path_factory.mktemp("tiny_run"))


@pytest.fixture(scope="session")
def tiny_report(tiny_run: TinyRun) -> WrittenReport:
    """Its page, from the shards: the split is evaluated first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "SECONDS_OF_CALLS", 0.05)
        patch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
        return write_report(tiny_run.run, tiny_run.shards)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a page, whose names of classes and clips hold everything that breaks pages."""
    folder = tmp_path_factory.mktemp("runs") / "a <b> & 'c'"
    clip_ids = tuple(f"<img src=x onerror=alert({number})>&\"'.mp4" for number in range(60))
    run = made_up_run(folder, HOSTILE_CLASSES, clip_ids=clip_ids)
    write_report(run, latency=False)
    return run


@pytest.fixture
def no_pictures(monkeypatch):
    """The page has its pictures' words and not the pictures, which take the most time."""

    def words_only(plot, alternative, caption=""):
        return Picture("data:,", "data:,", 1, 1, alternative, caption or alternative)

    monkeypatch.setattr("cham_keras.report.curves.draw_picture", words_only)
    monkeypatch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
