"""No identical file stands on both sides of a split, under whatever name."""

import shutil
from pathlib import Path

import pytest

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.prepare import check_duplicates, prepare_csv


def clip_list_of(root: Path, clips: dict[str, tuple[str, bytes]]) -> ClipList:
    """Path -> (split, content); two classes by turns."""
    made = []
    for number, (name, (split, content)) in enumerate(clips.items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        made.append(Clip(name, ("hop", "run")[number % 2], split, name))
    return ClipList(root, ("hop", "run"), tuple(made))


def test_different_files_of_one_size_are_no_copies(tmp_path):
    clips = {"1.mp4": ("train", b"one"), "2.mp4": ("test", b"two"), "3.mp4": ("test", b"three")}
    assert check_duplicates(clip_list_of(tmp_path, clips)) == ()


def test_copies_on_both_sides_are_refused_and_named(tmp_path):
    clips = {
        "a/1.mp4": ("train", b"same"),
        "b/2.avi": ("test", b"same"),
        "3.mp4": ("validation", b"same"),
        "4.mp4": ("test", b"diff"),
    }
    with pytest.raises(
        ValueError,
        match=r"No file may stand on both sides .* 1 file\(s\) .*a/1.mp4 \(train\), "
        r"b/2.avi \(test\), 3.mp4 \(validation\)\..*--allow-duplicates",
    ) as error:
        check_duplicates(clip_list_of(tmp_path, clips))
    assert "4.mp4" not in str(error.value)


def test_copies_on_both_sides_may_be_allowed_and_are_counted(tmp_path):
    clips = {f"{n}{side}.mp4": (side, b"%d" % n) for n in range(5) for side in ("train", "test")}
    assert check_duplicates(clip_list_of(tmp_path, clips), allow=True) == (
        "5 file(s) stand in more than one split: 0train.mp4 (train), 0test.mp4 (test); 1train.mp4 "
        "(train), 1test.mp4 (test); 2train.mp4 (train), 2test.mp4 (test); and 2 more. Scores are "
        "too good by what was trained on.",
    )


def test_copies_within_one_split_are_a_problem(tmp_path):
    clips = {f"{n}.mp4": ("train", b"same") for n in range(3)} | {"t.mp4": ("test", b"other")}
    assert check_duplicates(clip_list_of(tmp_path, clips)) == (
        "1 file(s) stand in one split more than once: 0.mp4 = 1.mp4 = 2.mp4.",
    )


def test_empty_files_are_counted_and_are_no_copies(tmp_path):
    clips = {"1.mp4": ("train", b""), "2.mp4": ("test", b""), "3.mp4": ("test", b"a film")}
    assert check_duplicates(clip_list_of(tmp_path, clips)) == (
        "2 clip(s) are empty files: 1.mp4, 2.mp4.",
    )


def image_folders(root: Path, **images: list[bytes]) -> ClipList:
    for name, contents in images.items():
        (root / name).mkdir()
        for number, content in enumerate(contents, start=1):
            (root / name / f"{name}{number}.png").write_bytes(content)
    sides = zip(images, ("train", "test", "test"), ("hop", "run", "hop"), strict=False)
    return ClipList(root, ("hop", "run"), tuple(Clip(n, c, s, n) for n, s, c in sides))


def test_folders_of_the_same_images_are_copies(tmp_path):
    images = [b"%03d" % number for number in range(12)]
    clip_list = image_folders(tmp_path, a=images, b=images, c=images[::-1])
    # What lies beside the images is not the clip.
    (tmp_path / "a" / "notes.txt").write_text("beside")
    with pytest.raises(ValueError, match=r"Received: 1 file.*: a \(train\), b \(test\)\."):
        check_duplicates(clip_list)
    (tmp_path / "b" / "b12.png").write_bytes(b"000")
    assert check_duplicates(clip_list) == ()


def test_images_are_compared_one_by_one_and_not_as_one_stream(tmp_path):
    # The same bytes, cut at another place, are other images.
    assert check_duplicates(image_folders(tmp_path, a=[b"12", b"3"], b=[b"1", b"23"])) == ()


def parts(root: Path, *times: tuple[float | None, float | None, str]) -> ClipList:
    (root / "v.mp4").write_bytes(b"a film")
    (root / "w.mp4").write_bytes(b"another")
    clips = [Clip("w.mp4", "hop", "train", "w")]
    for number, (start, end, split) in enumerate(times):
        clips.append(Clip("v.mp4", "run", split, f"g{number}", None, start, end))
    return ClipList(root, ("hop", "run"), tuple(clips))


@pytest.mark.parametrize(
    "times",
    [
        [(0, 5, "train"), (4.9, 8, "test")],
        [(None, None, "train"), (2, 3, "test")],
        [(0, None, "train"), (2, 3, "test")],
        [(0, 9, "train"), (1, 2, "train"), (8, 9, "test")],
    ],
)
def test_parts_of_a_file_that_share_frames_are_refused_on_two_sides(tmp_path, times):
    with pytest.raises(ValueError, match=r"1 file\(s\).*v.mp4.* \(train\) and v.mp4#t=.* \(test\)"):
        check_duplicates(parts(tmp_path, *times))


def test_parts_of_a_file_that_share_none_may_stand_on_two_sides(tmp_path):
    assert check_duplicates(parts(tmp_path, (None, 5, "train"), (5, 8, "test"))) == ()
    assert check_duplicates(parts(tmp_path, (0, 5, "test"), (2, 8, "test"))) == ()


def test_parts_of_a_copy_count_as_copies(tmp_path):
    clip_list = parts(tmp_path, (0, 5, "test"))
    shutil.copy(tmp_path / "v.mp4", tmp_path / "w.mp4")
    with pytest.raises(ValueError, match=r"w.mp4 \(train\), v.mp4 \(test\)"):
        check_duplicates(clip_list)


def test_only_files_of_equal_size_are_read(tmp_path, monkeypatch):
    clips = {"1.mp4": ("train", b"one"), "2.mp4": ("test", b"two"), "3.mp4": ("test", b"three")}
    clip_list = clip_list_of(tmp_path, clips)
    opened = []
    true_open = Path.open

    def watched_open(path, *arguments, **options):
        opened.append(path.name)
        return true_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", watched_open)
    check_duplicates(clip_list)
    assert sorted(opened) == ["1.mp4", "2.mp4"]


def test_a_file_that_is_gone_is_named(tmp_path):
    clip_list = clip_list_of(tmp_path, {"1.mp4": ("train", b"1"), "2.mp4": ("test", b"2")})
    (tmp_path / "2.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no clip .*2.mp4"):
        check_duplicates(clip_list)


def test_the_real_clips_hold_no_copies(shared_data, tmp_path):
    clip_list = prepare_csv(shared_data / "surv_fight" / "clips.csv").clip_list
    assert check_duplicates(clip_list) == ()
    # A copy under another name is found among them.
    test = next(clip for clip in clip_list.clips if clip.split == "test")
    for clip in clip_list.clips:
        (tmp_path / clip.path).parent.mkdir(exist_ok=True)
        (tmp_path / clip.path).symlink_to(clip_list.path_of(clip))
    shutil.copy(clip_list.path_of(test), tmp_path / "copy.mp4")
    copy = Clip("copy.mp4", test.label, "train", "copy")
    changed = ClipList(tmp_path, clip_list.classes, (*clip_list.clips, copy))
    with pytest.raises(ValueError, match=rf"{test.path} \(test\), copy.mp4 \(train\)"):
        check_duplicates(changed)
