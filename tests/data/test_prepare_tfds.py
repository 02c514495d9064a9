"""A data set of TensorFlow Datasets becomes folders of images.

The package is not needed here: a module with the same few functions stands in for it.
"""

import sys
import types
from collections import Counter

import numpy as np
import pytest

from cham_keras.data.clip_list import ClipList
from cham_keras.data.frames.image_folder import ImageFolder
from cham_keras.data.prepare import prepare_tfds

CLASSES = ["walk/run", "hop"]  # not sorted, and no names for folders


class Builder:
    """What `prepare_tfds` uses of a TFDS builder."""

    data_dir = "/nowhere/tiny"

    def __init__(self, splits, features):
        self.prepared_splits = splits
        self.info = types.SimpleNamespace(features=features, splits={})
        self.is_downloaded = False

    def find_prepared(self):
        self.info.splits = {
            name: types.SimpleNamespace(num_examples=len(examples))
            for name, examples in self.prepared_splits.items()
        }

    def download_and_prepare(self):
        self.is_downloaded = True
        self.find_prepared()

    def as_dataset(self, split, shuffle_files):
        assert shuffle_files is False
        return self.prepared_splits[split]


def examples(number, seed=0, channels=3):
    """Alternating classes, from 2 to 5 frames of 6x8 pixels of noise."""
    rng = np.random.default_rng(seed)
    return [
        {
            "video": rng.integers(0, 256, (2 + index % 4, 6, 8, channels), dtype=np.uint8),
            "label": np.int64(index % 2),
        }
        for index in range(number)
    ]


@pytest.fixture
def install(monkeypatch):
    """Makes a stand-in for the package that knows one data set; returns its builder."""

    def install(splits, prepared=True, features=None):
        label = types.SimpleNamespace(names=CLASSES)
        builder = Builder(splits, features or {"video": None, "label": label})
        if prepared:
            builder.find_prepared()
        calls = []
        module = types.ModuleType("tensorflow_datasets")
        module.builder = lambda name, data_dir: calls.append((name, data_dir)) or builder
        module.as_numpy = iter
        builder.calls = calls
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
        return builder

    return install


def test_frames_are_written_without_loss_in_the_order_of_the_data_set(install, tmp_path):
    stated = {"train": examples(8), "test": examples(5, seed=1)}
    builder = install(stated)
    prepared = prepare_tfds("tiny/one", tmp_path / "frames", tmp_path, validation_fraction=0.25)
    clip_list = prepared.clip_list
    assert builder.calls == [("tiny/one", str(tmp_path))] and not builder.is_downloaded
    assert clip_list.root == tmp_path / "frames"
    assert clip_list.classes == ("hop", "walk/run")
    originals = [*stated["train"], *stated["test"]]
    assert len(clip_list.clips) == len(originals)
    for clip, original in zip(clip_list.clips, originals, strict=True):
        frames = np.stack(list(ImageFolder(clip_list.path_of(clip)).frames()))
        np.testing.assert_array_equal(frames, original["video"])
        assert clip.num_frames == len(original["video"])
        assert clip.label == CLASSES[original["label"]]
        assert clip.group == clip.path
    assert [clip.path for clip in clip_list.clips][7:9] == ["train/000007", "test/000000"]
    assert Counter(clip.split for clip in clip_list.clips) == {
        "train": 6,
        "validation": 2,
        "test": 5,
    }
    assert prepared.problems == ()


def test_stated_splits_are_kept_and_what_is_no_split_is_told(install, tmp_path):
    install({"val": examples(2), "train": examples(6), "extra": examples(3)})
    prepared = prepare_tfds("tiny", tmp_path / "frames")
    assert Counter(clip.split for clip in prepared.clip_list.clips) == {"validation": 2, "train": 6}
    assert prepared.problems == (
        "Splits (clips) that are left out: extra (3).",
        "There are no clips to test on.",
    )


def test_training_clips_alone_are_split_by_the_fractions(install, tmp_path):
    install({"train": examples(20)})
    clips = prepare_tfds("tiny", tmp_path / "frames", None, 0.2, 0.1).clip_list.clips
    assert Counter(clip.split for clip in clips) == {"train": 14, "validation": 2, "test": 4}


def test_grey_videos_and_classes_without_clips(install, tmp_path):
    only_hop = [example | {"label": 1} for example in examples(2, channels=1)]
    label = types.SimpleNamespace(names=["hop", "run", "swim"])
    stated = {"train": examples(2, channels=1), "test": only_hop}
    install(stated, features={"video": None, "label": label})
    prepared = prepare_tfds("tiny", tmp_path / "frames", validation_fraction=0)
    assert prepared.problems == ("1 class(es) have no clips: swim.",)
    clip = prepared.clip_list.clips[1]
    frames = np.stack(list(ImageFolder(prepared.clip_list.path_of(clip)).frames()))
    np.testing.assert_array_equal(frames, np.repeat(stated["train"][1]["video"], 3, axis=-1))


def test_nothing_is_downloaded_unless_it_is_asked_for(install, tmp_path):
    builder = install({"train": examples(4), "test": examples(2)}, prepared=False)
    with pytest.raises(FileNotFoundError, match=r"has not prepared .*tiny in .*--download"):
        prepare_tfds("tiny", tmp_path / "frames")
    assert not builder.is_downloaded and not (tmp_path / "frames").exists()
    prepared = prepare_tfds("tiny", tmp_path / "frames", validation_fraction=0, download=True)
    assert isinstance(prepared.clip_list, ClipList) and builder.is_downloaded


def test_a_failure_leaves_no_half_of_the_frames_and_keeps_the_old_ones(install, tmp_path):
    bad = examples(4)
    bad[3]["video"] = bad[3]["video"].astype("float32")
    install({"train": bad, "test": examples(2)})
    message = r"must be uint8 .*float32 \(5, 6, 8, 3\) for example 3 of train"
    with pytest.raises(ValueError, match=message):
        prepare_tfds("tiny", tmp_path / "frames")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "old").touch()
    with pytest.raises(FileExistsError, match="--overwrite"):
        prepare_tfds("tiny", tmp_path / "frames")
    install({"train": examples(4), "test": examples(2)})
    prepare_tfds("tiny", tmp_path / "frames", validation_fraction=0, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["test", "train"]


@pytest.mark.parametrize(
    "features",
    [
        {"image": None, "label": types.SimpleNamespace(names=CLASSES)},
        {"video": None, "caption": None},
        {"video": None, "label": types.SimpleNamespace(num_classes=2)},
    ],
)
def test_other_features_are_refused_and_named(install, tmp_path, features):
    install({"train": examples(2)}, features=features)
    with pytest.raises(ValueError, match=f"tiny has {', '.join(features)}.*cham prepare csv"):
        prepare_tfds("tiny", tmp_path / "frames")


def test_a_name_that_tfds_does_not_know_is_one_line(install, monkeypatch, tmp_path):
    install({"train": examples(2)})

    def builder(name, data_dir):
        raise ValueError(f"Dataset {name} not found.\nAvailable datasets:\n- a\n- b")

    monkeypatch.setattr(sys.modules["tensorflow_datasets"], "builder", builder)
    with pytest.raises(ValueError, match=r"no data set 'tiny'. It says: Dataset tiny not found.$"):
        prepare_tfds("tiny", tmp_path / "frames")


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ValueError, match="pip install tensorflow-datasets"):
        prepare_tfds("tiny", tmp_path / "frames")
