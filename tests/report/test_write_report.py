"""What stands in a report, when it is written, and what is refused."""

import base64
import re
import shutil

import numpy as np
import pytest
from report_testing import HOSTILE_CLASSES, made_up_run, parts_of

from cham_keras.data import Clip, ClipList, extract, load_backbone, probe_video
from cham_keras.evaluation import evaluate, read_results
from cham_keras.report import write_report
from cham_keras.report.wording import percent
from cham_keras.runs import open_run

#: Attributes that a browser fetches something from, or goes to.
ADDRESSES = ("src", "srcset", "href", "poster", "data", "action", "background", "xlink:href")


@pytest.fixture(scope="module")
def hostile_page(hostile):
    return parts_of(hostile.folder / "report.html")


def test_head_says_what_the_run_is_and_how_it_did(hostile, hostile_page):
    results = read_results(hostile.folder)
    assert hostile_page.texts("h1") == ["a <b> & 'c'"]
    accuracy = percent(results.scores["clip_accuracy"]).replace("\xa0", " ")
    lower, upper = results.scores["clip_accuracy_interval"]
    [headline] = [text for text in hostile_page.texts("p") if "recognised (" in text]
    ends = f"{100 * lower:.1f} to {100 * upper:.1f} %"
    assert headline == f"{accuracy} of 60 clips recognised (95 % interval {ends})"
    facts = dict(zip(hostile_page.texts("dt"), hostile_page.texts("dd"), strict=True))
    assert facts["Model"] == "cham"
    assert facts["Data"] == "4 classes, 60 clips of the split test, 10 groups of clips"
    assert facts["Best epoch"] == "2 of 3, validation accuracy 75.0 %"
    assert facts["Parameters"] == "12,345"
    assert facts["Training time"] == "1 h 2 min"
    assert facts["Seed"] == "7"
    assert facts["Trained on"] == "An abacus, 4 cores"
    assert facts["Command"] == "cham train shards --out 'a & b' <x>"
    assert facts["keras"] == "3.15.1"
    [settings] = hostile_page.texts("pre")
    assert settings == " ".join((hostile.folder / "settings.toml").read_text().split())


def test_names_of_any_characters_stay_names(hostile, hostile_page):
    # Two scripts, the clips and the page's own: none has come in by a name.
    assert len(hostile_page.of("script")) == 2
    assert not {"i", "b"} & {element.tag for element in hostile_page.elements}
    assert not [e for e in hostile_page.elements if any(a[:2] == "on" for a in e.attributes)]
    heads = [element.text for element in hostile_page.of("th")]
    for name in HOSTILE_CLASSES:
        assert heads.count(name) == 3  # a row and a column of the matrix, a row of the classes
    results = read_results(hostile.folder)
    assert hostile_page.clips["classes"] == list(HOSTILE_CLASSES)
    assert [clip[0] for clip in hostile_page.clips["clips"]] == list(results.clip_ids)
    for picture in hostile_page.of("img"):
        assert picture.attributes["alt"]


def test_page_names_nothing_that_a_browser_would_fetch(tiny_report, hostile_page):
    for page in (parts_of(tiny_report.path), hostile_page):
        found = [
            e.attributes[name] for e in page.elements for name in ADDRESSES & e.attributes.keys()
        ]
        assert len(found) > 10
        assert not [value for value in found if not value.startswith(("data:", "#"))]
        [style] = page.texts("style")
        assert not re.search(r"url\(|@import", style)
        policy = next(
            element.attributes["content"]
            for element in page.of("meta")
            if element.attributes.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
        assert "unsafe" not in policy


def test_curves_say_in_words_what_is_to_be_seen(hostile_page):
    said = [element.attributes["alt"].replace("\xa0", " ") for element in hostile_page.of("img")]
    assert said[0] == (
        "The accuracy on the training clips goes from 25.0 % in the first epoch to 87.5 % in epoch "
        "3. On the validation clips it is highest in epoch 2: 75.0 %."
    )
    assert said[1].endswith("On the validation clips it is lowest in epoch 2: 0.875.")


def test_each_error_shows_where_the_model_looked(tiny_run, tiny_report, tmp_path):
    results = read_results(tiny_run.run.folder)
    wrong = results.predicted != results.labels
    assert 1 < wrong.sum() <= 4, "the tiny run must be wrong about some clips"
    surest = sorted(results.probabilities[wrong].max(axis=1), reverse=True)
    page = parts_of(tiny_report.path)
    films = page.of("video")
    assert len(films) == wrong.sum()
    for number, film in enumerate(films):
        attributes = film.attributes
        assert {"controls", "loop", "muted", "playsinline"} <= attributes.keys()
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(base64.b64decode(attributes["src"].removeprefix("data:video/mp4;base64,")))
        found = probe_video(path)
        # Two panels of the films' shape, 80 × 48, and a gap; a step of the model a frame.
        assert (found.num_frames, found.width, found.height) == (4, 488, 144)
    said = [text for text in page.texts("dd") if "rank" not in text and re.search(r", \d", text)]
    said = [text for text in said if text.split(",")[0] in results.classes]
    assert said == [
        f"{text.split(',')[0]}, {100 * probability:.1f} %"
        for text, probability in zip(said, surest, strict=True)
    ]
    assert not tiny_report.remarks


def test_videos_that_are_gone_are_told_of(cham, tiny_run, tmp_path, no_pictures):
    out = tmp_path / "page.html"
    code, said = cham(
        "report", tiny_run.run.folder, "--clips-root", tmp_path, "--out", out, "--no-latency"
    )
    assert code == 0
    assert f"The videos are not in {tmp_path}." in said
    assert f"Written to {out} (" in said
    page = parts_of(out)
    assert not page.of("video")
    assert page.of("article")
    assert [text for text in page.texts("p") if text.startswith("Without films: The videos are")]


def test_a_single_missing_video_is_told_of_at_its_clip(tiny_run, tmp_path, no_pictures):
    results = read_results(tiny_run.run.folder)
    wrong = [results.clip_ids[i] for i in (results.predicted != results.labels).nonzero()[0]]
    for clip in wrong[1:]:
        (tmp_path / clip).parent.mkdir(exist_ok=True)
        (tmp_path / clip).write_bytes((tiny_run.clips / clip).read_bytes())
    written = write_report(
        tiny_run.run, out=tmp_path / "page.html", clips_root=tmp_path, latency=False
    )
    assert len(parts_of(written.path).of("video")) == len(wrong) - 1
    [remark] = written.remarks
    assert str(tmp_path / wrong[0]) in remark


def test_a_model_without_attention_has_errors_without_films(tmp_path, monkeypatch, no_pictures):
    monkeypatch.setattr("cham_keras.report.films.models.has_attention", lambda model: False)
    run = made_up_run(tmp_path / "run", ("hop", "run"), model="softmax_regression", skill=0.0)
    monkeypatch.setattr(type(run), "load_model", lambda self: None)
    videos = tmp_path / "videos" / "0"
    videos.mkdir(parents=True)
    for number in range(60):
        (videos / f"{number}.mp4").touch()
    written = write_report(run, clips_root=tmp_path / "videos", latency=False)
    assert written.remarks == ("A model softmax_regression has no attention to show.",)
    assert len(parts_of(written.path).of("article")) == 4


def test_as_many_errors_as_asked_for(hostile, tmp_path, no_pictures):
    for number in (0, 2):
        written = write_report(
            hostile, out=tmp_path / "page.html", num_errors=number, latency=False
        )
        assert len(parts_of(written.path).of("article")) == number
    with pytest.raises(ValueError, match=r"`num_errors` must be at least 0\. Received: -1"):
        write_report(hostile, num_errors=-1)


def test_a_split_that_is_not_evaluated_needs_shards(
    cham, tiny_run, tiny_report, tmp_path, no_pictures
):
    code, said = cham("report", tiny_run.run.folder, "--split", "train")
    assert code == 2
    assert "The split train of the run" in said
    assert "--shards SHARDS --split train` evaluates it first" in said
    assert not (tiny_run.run.folder / "evaluation" / "train.json").exists()
    out = tmp_path / "train.html"
    arguments = ("--split", "train", "--num-errors", "0", "--no-latency")
    code, _ = cham(
        "report", tiny_run.run.folder, "--shards", tiny_run.shards, "--out", out, *arguments
    )
    assert code == 0
    assert "of 3 clips recognised" in " ".join(parts_of(out).texts("header"))
    # A second page takes what is there, without shards.
    assert cham("report", tiny_run.run.folder, "--out", out, *arguments)[0] == 0


def test_a_folder_that_is_no_run_is_refused(cham, tmp_path):
    code, said = cham("report", tmp_path)
    assert code == 2
    assert "is no run folder" in said
    assert not list(tmp_path.iterdir())


def test_results_of_other_classes_are_refused(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    other = made_up_run(tmp_path / "other", ("hop", "jump"))
    for file in (other.folder / "evaluation").iterdir():
        file.replace(run.folder / "evaluation" / file.name)
    with pytest.raises(ValueError, match=r"classes of the run, hop, run\. Received: hop, jump\."):
        write_report(run, latency=False)
    assert not (run.folder / "report.html").exists()


def test_results_of_an_earlier_model_are_refused_and_made_anew_from_shards(
    tiny_run, tiny_report, tmp_path, no_pictures
):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.run.folder, folder)
    run = open_run(folder)
    assert write_report(run, num_errors=0, latency=False).path.is_file()
    earlier = run.model_sha256()
    model = run.load_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    model.save(folder / "model.keras")
    with pytest.raises(ValueError, match="must be of the model that the run holds"):
        write_report(run, num_errors=0, latency=False)
    assert read_results(folder).model_sha256 == earlier
    write_report(run, tiny_run.shards, num_errors=0, latency=False)
    results = read_results(folder)
    assert results.model_sha256 == run.model_sha256() != earlier
    np.testing.assert_allclose(results.probabilities, 1 / len(results.classes), rtol=1e-6)


def test_clips_of_other_shards_are_not_shown_as_these(tiny_run, tiny_report, tmp_path):
    clips = tuple(
        Clip(f"{label}/{number}.mp4", label, split, f"{label}/{number}")
        for label in tiny_run.run.manifest.classes
        for number, split in ((0, "train"), (1, "test"))
    )
    clip_list = ClipList(tiny_run.clips, tiny_run.run.manifest.classes, clips)
    extract(clip_list, tmp_path / "shards", load_backbone("filter_bank"), frame_stride=2)
    with pytest.raises(ValueError, match="Received: 3 clips for 6 evaluated ones, not the same"):
        write_report(tiny_run.run, tmp_path / "shards", out=tmp_path / "a.html", latency=False)
    assert not (tmp_path / "a.html").exists()


def test_a_run_without_its_model_has_a_page_without_latency(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    page = parts_of(write_report(run).path)
    assert "The run folder holds no model to measure." in page.texts("p")


def test_several_windows_are_said_beside_films_of_one(tiny_run, tiny_report, tmp_path, no_pictures):
    shutil.copytree(tiny_run.run.folder, tmp_path / "run")
    run = open_run(tmp_path / "run")
    evaluate(run, tiny_run.shards, windows="all", pictures=False)
    page = parts_of(write_report(run, latency=False).path)
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Score of a clip"] == "mean over as many windows as hold every frame"
    assert [text for text in page.texts("p") if "so their ends may differ" in text]
    page = parts_of(tiny_report.path)
    assert "Score of a clip" not in page.texts("dt")
    assert not [text for text in page.texts("p") if "so their ends may differ" in text]


@pytest.mark.parametrize(
    "history",
    ["epoch,clip_accuracy,loss\n", "epoch,loss,val_loss\n1,0.5,nan\n2,0.25,nan\n"],
)
def test_a_history_that_says_little_is_shown_as_far_as_it_goes(tmp_path, no_pictures, history):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    (run.folder / "history.csv").write_text(history)
    page = parts_of(write_report(run, latency=False).path)
    said = [element.attributes["alt"] for element in page.of("img")]
    assert any("in the first epoch" in text for text in said) == ("0.25" in history)


def test_a_torn_history_is_refused_by_name(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    (run.folder / "history.csv").write_text("epoch,clip_accuracy,loss\n1,0.5\n")
    with pytest.raises(ValueError, match="history.csv must hold a number in each column"):
        write_report(run, latency=False)


def test_what_is_broken_off_leaves_the_old_page(tmp_path, monkeypatch, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    page = write_report(run, latency=False).path
    old = page.read_bytes()
    files = sorted(path.name for path in run.folder.iterdir())

    def half(path, text, **_):
        path.write_bytes(text.encode()[:1000])
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", half)
    with pytest.raises(OSError, match="No space left"):
        write_report(run, latency=False)
    assert page.read_bytes() == old
    assert sorted(path.name for path in run.folder.iterdir()) == files


def test_a_run_without_history_and_versions_has_a_page_too(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    for name in ("history.csv", "metrics.json", "versions.json"):
        (run.folder / name).unlink()
    page = parts_of(write_report(open_run(run.folder), latency=False).path)
    assert "The run folder holds no history of its training." in page.texts("p")
    assert "Best epoch" not in page.texts("dt")


def test_latency_is_of_this_machine_and_of_the_model_alone(tiny_report, hostile_page):
    page = parts_of(tiny_report.path)
    heads = page.texts("th")
    assert "a clip of 4 frames" in heads
    assert "one streamed frame" in heads
    [said] = [text for text in page.texts("p") if text.startswith("Measured on the machine")]
    assert "Decoding the video and the backbone that makes the features come on top" in said
    assert [text for text in hostile_page.texts("p") if text.startswith("Not measured;")]
