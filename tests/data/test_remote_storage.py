"""From videos to shards on storage behind `tf.io.gfile`; TensorFlow's own in memory stands for it.

`ram://` is a true storage of `tf.io.gfile`, without a network: what it does not know of local
paths, no other storage knows either.
"""

import json
import re
import uuid
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cham_keras.cli.main import run_command
from cham_keras.data.backbones.backbones import Backbone, load_backbone
from cham_keras.data.clip_list import read_clip_list, write_clip_list
from cham_keras.data.extraction.extraction import extract
from cham_keras.data.frames.video import write_video
from cham_keras.data.prepare import prepare_csv, prepare_folder
from cham_keras.data.shards.remote_shards import RemoteShards
from cham_keras.data.shards.verify import verification_of_shards, verify_shards
from cham_keras.files import local_copy, replacing_file
from cham_keras.paths import RemotePath

NUM_CLIPS = 8


@pytest.fixture
def remote() -> RemotePath:
    """A folder in memory of its own."""
    return RemotePath(f"ram://{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def local_videos(tmp_path_factory) -> Path:
    """Two classes of short videos with awkward names."""
    root = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for clip in range(NUM_CLIPS):
        picture = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype("uint8")
        frames = [np.roll(picture, 5 * frame, axis=1) for frame in range(3 + clip)]
        path = root / ("hop", "run")[clip % 2] / f"clip [{clip}] a&b;#t=1.mp4"
        write_video(path, frames, frame_rate_hz=20)
    return root


@pytest.fixture
def videos(remote, local_videos) -> RemotePath:
    for path in local_videos.rglob("*.mp4"):
        (remote / "videos" / path.relative_to(local_videos)).upload(path)
    return remote / "videos"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    loaded = load_backbone("filter_bank", image_size=32)
    return Backbone(loaded.model, lambda frames: frames, loaded.spec, batch_size=4)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Where the default working folder lies."""
    monkeypatch.chdir(tmp_path)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_remote_shards_have_the_bytes_of_local_ones(local_videos, videos, remote, backbone):
    write_clip_list(prepare_folder(local_videos).clip_list, Path("clips.json"))
    write_clip_list(prepare_folder(videos).clip_list, remote / "clips.json")
    extract(read_clip_list("clips.json"), "shards", backbone, clips_per_shard=2)
    extract(read_clip_list(remote / "clips.json"), remote / "out", backbone, clips_per_shard=2)
    local, uploaded = contents(Path("shards")), contents(remote / "out")
    stated = [json.loads(files.pop("manifest.json")) for files in (local, uploaded)]
    assert [manifest.pop("clips_root") for manifest in stated] == [str(local_videos), str(videos)]
    assert stated[0] == stated[1]
    assert uploaded == local
    assert not Path("out.partial").exists()


def test_the_whole_way_through_the_command_line(videos, remote, capsys):
    assert run_command(["prepare", "folder", str(videos), "--out", str(remote / "clips")]) == 0
    assert read_clip_list(remote / "clips").root == videos
    arguments = ["--backbone", "filter_bank", "--image-size", "32", "--out", str(remote / "out")]
    assert run_command(["extract", str(remote / "clips"), *arguments]) == 0
    capsys.readouterr()
    assert run_command(["verify", str(remote / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["folder"], report["ok"]) == (str(remote / "out"), True)
    assert (report["clips"], report["problems"]) == (NUM_CLIPS, [])
    assert not Path("ram:").exists()


def test_a_csv_file_beside_its_videos_is_read(videos, remote, local_videos, tmp_path):
    names = sorted(str(path.relative_to(local_videos)) for path in local_videos.rglob("*.mp4"))
    rows = [f"{name},{name.split('/')[0]}" for name in names]
    (tmp_path / "clips.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8-sig")
    (videos / "clips.csv").upload(tmp_path / "clips.csv")
    clip_list = prepare_csv(videos / "clips.csv").clip_list
    assert (clip_list.root, len(clip_list.clips)) == (videos, NUM_CLIPS)
    with pytest.raises(ValueError, match="must lie under"):
        (tmp_path / "clips.csv").write_text("path,label\n../a.mp4,run\nhop/b.mp4,hop\n")
        prepare_csv(tmp_path / "clips.csv", root=videos)


def test_image_folders_on_remote_storage_are_clips(remote, backbone, tmp_path):
    for clip in range(NUM_CLIPS):
        for frame in range(3):
            path = tmp_path / "picture.png"
            tf.keras.utils.save_img(path, np.full((40, 40, 3), 9 * clip + frame, "uint8"))
            folder = remote / "images" / ("hop", "run")[clip % 2] / str(clip)
            (folder / f"{frame}.png").upload(path)
    clip_list = prepare_folder(remote / "images").clip_list
    assert {clip.num_frames for clip in clip_list.clips} == {3}
    manifest = extract(clip_list, remote / "out", backbone)
    assert (manifest.unreadable, manifest.split("train").frames % 3) == ((), 0)


def test_an_unreadable_remote_clip_is_named_by_its_url(videos, remote, backbone, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (videos / "run" / "broken.mp4").upload(tmp_path / "broken.mp4")
    manifest = extract(prepare_folder(videos, seed=1).clip_list, remote / "out", backbone)
    (clip,) = manifest.unreadable
    assert clip.path == "run/broken.mp4"
    assert f"{videos}/run/broken.mp4" in clip.reason
    assert verify_shards(remote / "out") == []


def test_extraction_holds_copies_of_few_clips_at_a_time(
    videos, remote, backbone, tmp_path, monkeypatch
):
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    true_download, held = RemotePath.download, []

    def download(path, local):
        held.append(len(list((tmp_path / "copies").iterdir())))
        true_download(path, local)

    monkeypatch.setattr(RemotePath, "download", download)
    monkeypatch.setattr("cham_keras.data.extraction.extraction._MOST_DECODERS", 2)
    extract(prepare_folder(videos).clip_list, remote / "out", backbone)
    assert len(held) == NUM_CLIPS
    assert max(held) <= 2
    assert list((tmp_path / "copies").iterdir()) == []


def test_copies_of_remote_clips_are_removed(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with local_copy(videos / "run") as copy:
        assert len(list(copy.iterdir())) == NUM_CLIPS // 2
        assert list(tmp_path.iterdir()) == [copy.parent]
    with pytest.raises(FileNotFoundError, match=re.escape(f"{videos}/none.mp4")):
        local_copy(videos / "none.mp4").__enter__()
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """Stands for whatever ends the process."""


@pytest.mark.parametrize(
    ("replaces", "after"), [(False, False), (False, True), (True, False)]
)  # whether there is an older data set; whether a kill comes after the call or before
def test_an_extraction_killed_at_any_call_to_the_storage_goes_on(
    videos, remote, backbone, monkeypatch, replaces, after
):
    clip_list = prepare_folder(videos).clip_list
    extract(clip_list, remote / "unbroken", backbone, clips_per_shard=2)
    unbroken = contents(remote / "unbroken")
    extract(clip_list, "older", backbone, clips_per_shard=2, max_frames=2)
    uploads = []
    true_calls = {name: getattr(RemotePath, name) for name in ("upload", "replace", "unlink")}
    calls_left = 0

    def counted(name):
        def call(path, *arguments, **options):
            nonlocal calls_left
            calls_left -= 1
            is_the_last = calls_left == 0
            if is_the_last and not after:
                raise Killed
            if name == "upload":
                uploads.append(path.name)
            result = true_calls[name](path, *arguments, **options)
            if is_the_last:
                raise Killed
            return result

        return call

    for name in true_calls:
        monkeypatch.setattr(RemotePath, name, counted(name))
    for calls in range(1, 100):
        out = remote / f"out-{calls}"
        for path in Path("older").iterdir() if replaces else ():
            (out / path.name).upload(path)
        uploads.clear()
        calls_left = calls
        try:
            extract(clip_list, out, backbone, clips_per_shard=2, overwrite=replaces)
        except Killed:
            calls_left = -1
            if (out / "manifest.json").exists():
                assert verify_shards(out) == []  # the older one as it was, or the new one
                if contents(out) == unbroken:
                    continue
            extract(clip_list, out, backbone, clips_per_shard=2, overwrite=replaces)
            assert contents(out) == unbroken
            # The one that was under way, and no other, goes there again.
            assert len(uploads) - len(set(uploads)) <= 1
        else:
            break
    assert calls > 10


def test_a_folder_without_manifest_is_no_data_set(videos, remote, backbone, monkeypatch):
    def fail(self, manifest):
        raise OSError("no way there")

    monkeypatch.setattr(RemoteShards, "finish", fail)
    with pytest.raises(OSError, match="no way there"):
        extract(prepare_folder(videos).clip_list, remote / "out", backbone)
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json at ram://"):
        verify_shards(remote / "out")


def test_a_used_remote_folder_is_refused_unless_it_shall_be_replaced(videos, remote, backbone):
    clip_list = prepare_folder(videos).clip_list
    extract(clip_list, remote / "out", backbone, clips_per_shard=1)
    with pytest.raises(FileExistsError, match="must be new or empty"):
        extract(clip_list, remote / "out", backbone, clips_per_shard=2)
    extract(clip_list, remote / "out", backbone, clips_per_shard=2, overwrite=True)
    assert verify_shards(remote / "out") == []


def test_what_another_command_left_is_replaced_if_that_is_asked_for(
    videos, remote, backbone, monkeypatch
):
    clip_list = prepare_folder(videos).clip_list
    extract(clip_list, remote / "right", backbone, clips_per_shard=2)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(RemoteShards, "begin_naming", lambda self: 1 / 0)
        extract(clip_list, remote / "out", backbone, clips_per_shard=1, max_frames=2)
    with pytest.raises(ValueError, match="another command"):
        extract(clip_list, remote / "out", backbone, clips_per_shard=2)
    extract(clip_list, remote / "out", backbone, clips_per_shard=2, overwrite=True)
    assert contents(remote / "out") == contents(remote / "right")


def test_notes_of_uploads_do_not_outlive_their_journal(videos, remote, backbone, monkeypatch):
    clip_list = prepare_folder(videos).clip_list
    for options in ({"max_frames": 2}, {}):
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            # The first is stopped when all is uploaded, the second before anything is.
            stopped = "begin_naming" if options else "put"
            patch.setattr(RemoteShards, stopped, lambda *arguments: 1 / 0)
            extract(clip_list, remote / "out", backbone, clips_per_shard=2, **options)
        if options:
            Path("out.partial", "journal.jsonl").write_bytes(b"")
    extract(clip_list, remote / "out", backbone, clips_per_shard=2)
    assert verify_shards(remote / "out") == []


def test_the_working_folder_can_be_named(videos, remote, backbone, monkeypatch, tmp_path):
    clip_list = prepare_folder(videos).clip_list
    work = tmp_path / "work"
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(RemotePath, "upload", lambda self, local: 1 / 0)
        extract(clip_list, remote / "out", backbone, clips_per_shard=2, work_dir=work)
    assert (work / "journal.jsonl").is_file()
    with pytest.raises(ValueError, match="out differ"):
        extract(clip_list, remote / "other", backbone, clips_per_shard=2, work_dir=work)
    extract(clip_list, remote / "out", backbone, clips_per_shard=2, work_dir=work)
    assert not work.exists()
    with pytest.raises(ValueError, match="`work_dir` goes with an output folder on remote"):
        extract(clip_list, tmp_path / "local", backbone, work_dir=work)
    with pytest.raises(ValueError, match="`work_dir` must be a local path"):
        extract(clip_list, remote / "more", backbone, work_dir="ram://work")


def test_an_upload_that_was_lost_is_told(videos, remote, backbone, monkeypatch):
    clip_list = prepare_folder(videos).clip_list
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(RemoteShards, "begin_naming", lambda self: 1 / 0)
        extract(clip_list, remote / "out", backbone, clips_per_shard=2)
    (remote / "out" / "train-00000.tfrecord.partial").unlink()
    with pytest.raises(ValueError, match=r"train-00000\.tfrecord\.partial must be as an earlier"):
        extract(clip_list, remote / "out", backbone, clips_per_shard=2)


def test_damage_on_remote_storage_is_found(videos, remote, backbone):
    manifest = extract(prepare_folder(videos).clip_list, remote / "out", backbone)
    file = manifest.split("test").shards[0].file
    damaged = bytearray((remote / "out" / file).read_bytes())
    damaged[-100] ^= 1
    with replacing_file(remote / "out" / file) as temporary:
        temporary.write_bytes(damaged)
    with replacing_file(remote / "out" / "old.tfrecord") as temporary:
        temporary.write_bytes(b"")
    found = [str(problem) for problem in verify_shards(remote / "out")]
    assert "old.tfrecord: is not named in the manifest." in found
    assert any(re.match(rf"{file}, record \d+: does not agree", problem) for problem in found)


def test_a_storage_that_lists_nothing_is_verified_all_the_same(
    videos, remote, backbone, monkeypatch
):
    extract(prepare_folder(videos).clip_list, remote / "out", backbone)

    def fail(self):
        raise OSError("listing is not implemented")

    monkeypatch.setattr(RemotePath, "iterdir", fail)
    found = verification_of_shards(remote / "out")
    assert (found.problems, found.clips) == ((), NUM_CLIPS)
    assert "ram:// does not list its files" in found.not_checked[0]
