"""An extraction that is killed goes on where it was, and ends with the bytes of an unbroken one."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from extraction_testing import (
    PLACE_OF_DAMAGED_CLIP,
    RowBackbone,
    bytes_of,
    call_at_each_change,
    make_clips,
    small_backbone,
)

from cham_keras.data.backbones.backbones import Backbone, load_backbone
from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.extraction import extraction
from cham_keras.data.extraction.extraction import extract, extraction_order, partial_folder
from cham_keras.data.shards.journal import JOURNAL_FILE

SETTINGS = {"clips_per_shard": 2, "command": "cham extract"}
NUM_KILLS = 20


@pytest.fixture(scope="module")
def clip_list(tmp_path_factory) -> ClipList:
    return make_clips(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return small_backbone()


@pytest.fixture(scope="module")
def unbroken(clip_list, backbone, tmp_path_factory) -> dict[str, bytes]:
    """The files of an extraction that nothing interrupted."""
    out = tmp_path_factory.mktemp("unbroken") / "shards"
    extract(clip_list, out, backbone, **SETTINGS)
    return bytes_of(out)


@pytest.fixture(scope="module")
def kills(clip_list, backbone, tmp_path_factory) -> list[Path]:
    """What a kill at each moment of an extraction leaves: copies of the folder around it."""
    return take_kills(clip_list, backbone, tmp_path_factory.mktemp("kills"), **SETTINGS)


def take_kills(clip_list, backbone, folder: Path, **settings) -> list[Path]:
    copies: list[Path] = []
    place = folder / "place"
    place.mkdir(exist_ok=True)

    def copy() -> None:
        copies.append(folder / f"{len(copies):04d}")
        shutil.copytree(place, copies[-1])

    with pytest.MonkeyPatch.context() as patch:
        call_at_each_change(patch, copy)
        extract(clip_list, place / "shards", backbone, **settings)
    return copies


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the clips whose frames are read, in order."""
    names = []

    def counted(path, *arguments, **keywords):
        names.append(path.name)
        return open_clip(path, *arguments, **keywords)

    open_clip = extraction.open_clip
    monkeypatch.setattr(extraction, "open_clip", counted)
    return names


def num_finished(place: Path) -> int | None:
    """How many clips a killed extraction had finished; None where it had ended."""
    journal = partial_folder(place / "shards") / JOURNAL_FILE
    if (place / "shards").exists():
        return None
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def finish(clip_list, backbone, place: Path) -> None:
    """The same call once more, as a user would make it after a kill."""
    is_finished = num_finished(place) is None and not (place / "shards" / JOURNAL_FILE).exists()
    refused = pytest.raises(FileExistsError, match=r"new or empty")
    with refused if is_finished else contextlib.nullcontext():
        extract(clip_list, place / "shards", backbone, **SETTINGS)


def test_there_are_kills_of_every_kind(kills, unbroken):
    assert len(kills) > 100
    assert {num_finished(kill) for kill in kills} == {None, *range(12)}
    files = {path.relative_to(kill).as_posix() for kill in kills for path in kill.rglob("*")}
    assert f"shards/{JOURNAL_FILE}" in files
    assert {f"shards.partial/{name}" for name in unbroken} <= files
    assert len(unbroken) == 1 + 3 + 1 + 1


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_after_two_kills_the_bytes_are_those_of_an_unbroken_run(
    clip_list, backbone, kills, unbroken, read, tmp_path, monkeypatch, number
):
    rng = random.Random(number)
    # One from each twentieth of the run.
    kill = kills[(number * len(kills) + rng.randrange(len(kills))) // NUM_KILLS]
    place, second = tmp_path / "place", tmp_path / "second"
    shutil.copytree(kill, place)
    order = [Path(clip.path).name for clip in extraction_order(clip_list)]
    finished = num_finished(place)
    moments_left = rng.randrange(len(kills) - kills.index(kill)) + 1

    def kill_again() -> None:
        nonlocal moments_left
        moments_left -= 1
        if moments_left == 0:
            shutil.copytree(place, second)

    with pytest.MonkeyPatch.context() as patch:
        call_at_each_change(patch, kill_again)
        finish(clip_list, backbone, place)
    # Finished clips are not decoded again, and each of the others once.
    assert sorted(read) == sorted([] if finished is None else order[finished:])
    assert bytes_of(place) == {f"shards/{name}": data for name, data in unbroken.items()}
    if second.exists():
        read.clear()
        finished = num_finished(second)
        finish(clip_list, backbone, second)
        assert sorted(read) == sorted([] if finished is None else order[finished:])
        assert bytes_of(second) == {f"shards/{name}": data for name, data in unbroken.items()}


def test_a_kill_while_shards_get_their_names_or_the_folder_its_place_costs_nothing(
    clip_list, backbone, kills, unbroken, read, tmp_path
):
    at_the_end = [kill for kill in kills if num_finished(kill) in (11, None)]
    assert len(at_the_end) > 10
    for kill in at_the_end:
        place = tmp_path / kill.name
        shutil.copytree(kill, place)
        finish(clip_list, backbone, place)
        assert bytes_of(place) == {f"shards/{name}": data for name, data in unbroken.items()}, kill
    assert read == []


def test_a_kill_while_a_folder_is_replaced_leaves_the_old_or_the_new_one_whole(
    clip_list, backbone, unbroken, tmp_path
):
    out = tmp_path / "place" / "shards"
    extract(clip_list, out, backbone, frame_stride=2)
    old = bytes_of(out)
    kills = take_kills(clip_list, backbone, tmp_path, overwrite=True, **SETTINGS)
    for kill in kills:
        left = bytes_of(kill / "shards")
        left.pop(JOURNAL_FILE, None)
        if not left:  # between two renamings
            (moved,) = kill.glob(".shards.old-*/shards")
            assert bytes_of(moved) == old
        else:
            assert left in (old, unbroken)
    between = [kill for kill in kills if not (kill / "shards").exists()]
    for kill in between[:2]:
        extract(clip_list, kill / "shards", backbone, overwrite=True, **SETTINGS)
        assert bytes_of(kill / "shards") == unbroken


def test_true_kills_from_outside(clip_list, unbroken, tmp_path):
    out = tmp_path / "shards"
    journal = partial_folder(out) / JOURNAL_FILE
    rng = random.Random(0)
    script = f"""
import os, sys
from pathlib import Path
from extraction_testing import small_backbone
from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.extraction.extraction import extract
root, classes, clips = {str(clip_list.root)!r}, {clip_list.classes!r}, {clip_list.clips!r}
for line in sys.stdin:  # an extraction for each line, in a process without TensorFlow's start
    if (pid := os.fork()) == 0:
        extract(ClipList(root, classes, clips), {str(out)!r}, small_backbone(), **{SETTINGS!r})
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    signals = []
    with server:
        for num_lines in (1, 3, 4, 8, 10, None):
            server.stdin.write("\n")
            server.stdin.flush()
            process = int(server.stdout.readline())
            if num_lines is not None:
                while not journal.exists() or journal.read_bytes().count(b"\n") < num_lines:
                    time.sleep(0.001)
                time.sleep(rng.random() * 0.02)
                os.kill(process, signal.SIGKILL)
            signals.append(os.WTERMSIG(int(server.stdout.readline())))
        server.stdin.close()
    assert signals[-1] == 0
    assert signals.count(signal.SIGKILL) >= 4
    assert bytes_of(out) == unbroken
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards"]


@pytest.fixture
def broken(clip_list, backbone, kills, tmp_path) -> Path:
    """A folder in which an extraction was killed after seven clips."""
    kill = next(kill for kill in kills if num_finished(kill) == 7)
    shutil.copytree(kill, tmp_path / "place")
    return tmp_path / "place" / "shards"


def test_a_torn_line_of_the_journal_costs_its_clip_only(
    clip_list, backbone, broken, unbroken, read, tmp_path
):
    journal = (partial_folder(broken) / JOURNAL_FILE).read_bytes()
    last = journal[:-1].rindex(b"\n") + 1
    for cut in (1, 2, (len(journal) - last) // 2, len(journal) - last - 1):
        out = tmp_path / f"{cut}" / "shards"
        shutil.copytree(partial_folder(broken), partial_folder(out))
        (partial_folder(out) / JOURNAL_FILE).write_bytes(journal[:-cut])
        read.clear()
        interrupted = small_backbone()
        calls = iter(range(5))

        def features(frames, calls=calls, interrupted=interrupted):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return RowBackbone.features_of_resized(interrupted, frames)

        interrupted.features_of_resized = features
        with pytest.raises(KeyboardInterrupt):  # nor is the torn line in the way later on
            extract(clip_list, out, interrupted, **SETTINGS)
        assert read[0] == Path(extraction_order(clip_list)[6].path).name
        assert num_finished(out.parent) > 6
        extract(clip_list, out, backbone, **SETTINGS)
        assert bytes_of(out) == unbroken


def test_a_journal_that_is_no_journal_is_named_with_what_to_do(clip_list, backbone, broken):
    journal = partial_folder(broken) / JOURNAL_FILE
    lines = journal.read_bytes().split(b"\n")
    for damaged in (b"\0\0\0\0", b"[]", b'{"clip": "a"}'):
        for number in (0, 2):
            changed = [*lines[:number], damaged, *lines[number + 1 :]]
            journal.write_bytes(b"\n".join(changed))
            with pytest.raises(ValueError, match=rf"journal.jsonl.*line {number + 1} .*[Rr]emove"):
                extract(clip_list, broken, backbone, **SETTINGS)


@pytest.mark.parametrize("size", [0, 40])
def test_a_shard_that_lost_its_end_is_named_with_what_to_do(clip_list, backbone, broken, size):
    shard = partial_folder(broken) / "train-00000.tfrecord"
    os.truncate(shard, size)
    with pytest.raises(ValueError, match=rf"train-00000.*Received: {size}\..*[Rr]emove .*partial"):
        extract(clip_list, broken, backbone, **SETTINGS)
    shard.unlink()
    with pytest.raises(ValueError, match=r"train-00000.*Received: 0\..*[Rr]emove .*partial"):
        extract(clip_list, broken, backbone, **SETTINGS)
    assert not shard.exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_extractions_into_one_folder_at_a_time_are_refused(
    clip_list, backbone, unbroken, tmp_path, monkeypatch, overwrite, seed
):
    out = tmp_path / "shards"
    features = backbone.features_of_resized
    told = []

    def with_another_at_the_same_time(frames):
        if not told:
            told.append(None)
            before = bytes_of(partial_folder(out))
            with pytest.raises(BlockingIOError, match=r"Only one program .*shards.partial") as e:
                extract(clip_list, out, backbone, overwrite=overwrite, seed=seed, **SETTINGS)
            told.append(str(e.value))
            assert bytes_of(partial_folder(out)) == before
        return features(frames)

    monkeypatch.setattr(backbone, "features_of_resized", with_another_at_the_same_time)
    extract(clip_list, out, backbone, **SETTINGS)
    assert len(told) == 2
    assert bytes_of(out) == unbroken


def other_backbone(**arguments) -> Backbone:
    loaded = load_backbone("filter_bank", **arguments)
    return Backbone(loaded.model, lambda frames: frames, loaded.spec, batch_size=4)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"frame_stride": 2}, "frame_stride"),
        ({"max_frames": 3}, "max_frames"),
        ({"feature_dtype": "float32"}, "dtype"),
        ({"shard_bytes": 1000}, "shard_bytes"),
        ({"clips_per_shard": 3}, "clips_per_shard"),
        ({"seed": 1}, "clips"),
        ({"max_frames": 3, "feature_dtype": "float32"}, "max_frames, dtype"),
    ],
)
def test_what_other_settings_began_is_not_continued(
    clip_list, backbone, broken, unbroken, read, settings, names
):
    before = bytes_of(partial_folder(broken))
    with pytest.raises(ValueError, match=rf"another command began: {names} differ.*--overwrite"):
        extract(clip_list, broken, backbone, **(SETTINGS | settings))
    assert bytes_of(partial_folder(broken)) == before
    # The first command can still go on.
    read.clear()
    extract(clip_list, broken, backbone, **SETTINGS)
    assert len(read) == 11 - 7
    assert bytes_of(broken) == unbroken


def test_what_was_begun_with_another_backbone_or_other_classes_is_not_continued(
    clip_list, backbone, broken
):
    for arguments in ({"image_size": 48}, {"image_size": 32, "interpolation": "area"}):
        with pytest.raises(ValueError, match=r"another command began: backbone "):
            extract(clip_list, broken, other_backbone(**arguments), **SETTINGS)
    # One class more moves the labels of the others.
    more = ClipList(clip_list.root, ("bow", "hop", "run"), clip_list.clips)
    with pytest.raises(ValueError, match=r"another command began: classes differ"):
        extract(more, broken, backbone, **SETTINGS)


def test_with_overwrite_the_same_command_goes_on_and_another_begins_anew(
    clip_list, backbone, broken, unbroken, read, tmp_path
):
    shutil.copytree(tmp_path / "place", tmp_path / "other")
    extract(clip_list, broken, backbone, overwrite=True, **SETTINGS)
    assert len(read) == 11 - 7
    assert bytes_of(broken) == unbroken
    read.clear()
    other = tmp_path / "other" / "shards"
    extract(clip_list, other, backbone, overwrite=True, seed=1, **SETTINGS)
    assert len(read) == 11
    extract(clip_list, tmp_path / "seed 1", backbone, seed=1, **SETTINGS)
    assert bytes_of(other) == bytes_of(tmp_path / "seed 1")
    assert [path.name for path in other.parent.iterdir()] == ["shards"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_the_users_own_is_not_taken_for_an_unfinished_extraction(
    clip_list, backbone, tmp_path, overwrite
):
    own = partial_folder(tmp_path / "shards")
    own.mkdir()
    (own / "thesis.txt").write_text("all of it")
    with pytest.raises(FileExistsError, match=r"shards.partial.*[Mm]ove"):
        extract(clip_list, tmp_path / "shards", backbone, overwrite=overwrite, **SETTINGS)
    assert [path.name for path in own.iterdir()] == ["thesis.txt"]


def test_a_clip_that_is_gone_by_the_second_run_leaves_nothing_behind(
    clip_list, backbone, kills, tmp_path
):
    """The kill left a shard that is begun, and its first clip then turns out unreadable."""
    order = extraction_order(clip_list)
    root = tmp_path / "videos"
    shutil.copytree(clip_list.root, root)
    moved = ClipList(root, clip_list.classes, clip_list.clips)
    (root / order[7].path).unlink()  # the only clip of the fourth shard begun

    def is_begun(kill: Path) -> bool:
        begun = partial_folder(kill / "shards") / "validation-00000.tfrecord"
        return num_finished(kill) == 7 and begun.exists() and begun.stat().st_size > 0

    shutil.copytree(next(kill for kill in kills if is_begun(kill)), tmp_path / "place")
    manifest = extract(moved, tmp_path / "place" / "shards", backbone, **SETTINGS)
    shards = {shard.file for split in manifest.splits.values() for shard in split.shards}
    assert set(bytes_of(tmp_path / "place" / "shards")) == {"manifest.json", *shards}


def test_strict_does_not_pass_over_what_an_earlier_run_found_unreadable(
    clip_list, backbone, broken
):
    damaged = extraction_order(clip_list)[PLACE_OF_DAMAGED_CLIP]
    with pytest.raises(ValueError, match=rf"--strict. Received: {damaged.path}: "):
        extract(clip_list, broken, backbone, strict=True, **SETTINGS)
    assert not broken.exists()


def test_strict_can_go_on_once_the_clip_is_mended(clip_list, backbone, tmp_path, read):
    shutil.copytree(clip_list.root, tmp_path / "videos")
    own = ClipList(tmp_path / "videos", clip_list.classes, clip_list.clips)
    out = tmp_path / "shards"
    with pytest.raises(ValueError, match="--strict"):
        extract(own, out, backbone, strict=True, **SETTINGS)
    damaged = own.path_of(extraction_order(own)[PLACE_OF_DAMAGED_CLIP])
    shutil.copy(own.path_of(own.clips[0]), damaged)
    read.clear()
    extract(own, out, backbone, strict=True, **SETTINGS)
    assert len(read) == 11 - PLACE_OF_DAMAGED_CLIP
    extract(own, tmp_path / "unbroken", backbone, **SETTINGS)
    assert bytes_of(out) == bytes_of(tmp_path / "unbroken")


def test_when_too_much_is_unreadable_the_sentence_says_how_to_begin_anew(
    clip_list, backbone, tmp_path
):
    clips = [
        Clip(clip.path, "walk" if "damaged" in clip.path else clip.label, clip.split, clip.group)
        for clip in clip_list.clips
    ]
    listed = ClipList(clip_list.root, ("hop", "run", "walk"), clips)
    with pytest.raises(ValueError, match=r"All 1 of walk.*[Rr]emove .*shards\.partial"):
        extract(listed, tmp_path / "shards", backbone, **SETTINGS)


def test_the_journal_names_each_clip_once_and_in_order(clip_list, broken):
    lines = (partial_folder(broken) / JOURNAL_FILE).read_text().splitlines()[1:]
    entries = [json.loads(line) for line in lines]
    named = [entry.get("clip", entry.get("unreadable")) for entry in entries]
    assert named == [clip.id for clip in extraction_order(clip_list)[:7]]
