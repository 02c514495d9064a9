"""Tiny data sets in the layout of those that come with official lists, for the tests.

Names are of the true forms, with the characters that break careless code. A `write` makes each
file: `write_text` for tests that look at names only, `write_video_clip` and `write_sequence` for
those that decode.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from norpix_testing import write_norpix

Write = Callable[[Path], None]

#: Class -> clip -> what the official list says: 1 train, 2 test, 0 unused.
HMDB51 = {
    "kiss": {
        "50_FIRST_DATES_kiss_u_cm_np2_fr_med_17.avi": 1,
        "50_FIRST_DATES_kiss_u_cm_np2_le_goo_18.avi": 1,
        "Brunette_&_Blonde!_kiss_h_nm_np2_ri_bad_0.avi": 1,
        "Prelinger_[1949];_part_2_kiss_u_nm_np2_ba_med_1.avi": 2,
    },
    "shoot_bow": {
        "#20_Rhett_Kelley_(2nd)_shoot_bow_u_nm_np1_ba_med_0.avi": 1,
        "#20_Rhett_Kelley_(2nd)_shoot_bow_u_nm_np1_ba_med_1.avi": 1,
        "Bow+Arrow_~1m@home_shoot_bow_f_nm_np1_le_goo_0.avi": 1,
        "Bow+Arrow_~1m@home_shoot_bow_f_nm_np1_le_goo_1.avi": 0,
        "TrumanShow_shoot_bow_h_cm_np1_fr_goo_12.avi": 2,
        # The film of a training clip of another class.
        "50_FIRST_DATES_shoot_bow_u_cm_np1_fr_goo_30.avi": 2,
    },
}
#: Class -> side -> clips.
UCF101 = {
    "Archery": {
        "train": ["v_Archery_g08_c01.avi", "v_Archery_g08_c02.avi", "v_Archery_g09_c01.avi"],
        "test": ["v_Archery_g01_c01.avi", "v_Archery_g01_c02.avi"],
    },
    # The folder and its files write the S in two ways, as in the true data set.
    "HandstandPushups": {
        "train": ["v_HandStandPushups_g08_c01.avi", "v_HandStandPushups_g10_c01.avi"],
        "test": ["v_HandStandPushups_g01_c01.avi"],
    },
}
#: Class folder -> side -> clips without suffix.
OLYMPIC_SPORTS = {
    "clean_and_jerk": {
        "train": ["-2dg_CM4cMC_02278_02732", "-2dg_CM4cMC_03001_03100", "_uFJRfPZY58_00001_00040"],
        "test": ["h8TifTlWVw8_00713_00885"],
    },
    "diving_platfrom_10m": {
        "train": ["4zcNO_QyWaw_00479_00616", "CUG8vpMIFEQ_00501_00560"],
        # One video on both sides, in two classes.
        "test": ["_uFJRfPZY58_13198_13422"],
    },
}


def write_text(path: Path) -> None:
    """A file that is no video; what is in it is its name, so no two are equal."""
    path.write_text(path.name, encoding="utf-8")


def write_video_clip(path: Path) -> None:
    """A video of eight frames of 48 x 32 pixels."""
    from cham_keras.data.frames import write_video

    write_video(path, pattern_of(path.name), frame_rate_hz=25)


def write_sequence(path: Path) -> None:
    """A Norpix sequence of the version and with the kind of images that the true data set has."""
    write_norpix(path, list(pattern_of(path.name)), image_format=201, version=3)


def pattern_of(name: str) -> np.ndarray:
    """uint8 frames (8, 32, 48, 3) of coloured squares, others for another name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(0, 256, (8, 4, 6, 3), "uint8").repeat(8, axis=1).repeat(8, axis=2)


def make_hmdb51(
    root: Path,
    clips: Mapping[str, Mapping[str, int]] = HMDB51,
    write: Write = write_text,
    split: int = 1,
) -> Path:
    """Class folders in `root` and the lists beside it, in `testTrainMulti_7030_splits`."""
    for label, sides in clips.items():
        write_files(root / label, sides, write)
    write_hmdb51_lists(root.parent / "testTrainMulti_7030_splits", clips, split)
    return root


def write_hmdb51_lists(
    folder: Path, clips: Mapping[str, Mapping[str, int]] = HMDB51, split: int = 1
) -> None:
    """A list a class; each line ends in a blank, as in the true ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, sides in clips.items():
        lines = [f"{name} {side} \n" for name, side in sides.items()]
        (folder / f"{label}_test_split{split}.txt").write_text("".join(lines), encoding="utf-8")


def make_ucf101(
    root: Path,
    clips: Mapping[str, Mapping[str, Iterable[str]]] = UCF101,
    write: Write = write_text,
    split: int = 1,
) -> Path:
    """The class folders in `root`/UCF-101 and the lists in `root`/ucfTrainTestlist."""
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    lines: dict[str, list[str]] = {"train": [], "test": [], "classInd": []}
    for index, (label, sides) in enumerate(clips.items(), start=1):
        lines["classInd"].append(f"{index} {label}")
        for side, names in sides.items():
            write_files(root / "UCF-101" / label, names, write)
            number = f" {index}" if side == "train" else ""
            lines[side] += [f"{label}/{name}{number}" for name in names]
    for side in ("train", "test"):
        text = "\r\n".join([*lines[side], ""])
        (lists / f"{side}list{split:02}.txt").write_bytes(text.encode())
    (lists / "classInd.txt").write_bytes("\r\n".join([*lines["classInd"], ""]).encode())
    return root


def make_olympic_sports(
    root: Path,
    clips: Mapping[str, Mapping[str, Iterable[str]]] = OLYMPIC_SPORTS,
    write: Write = write_text,
) -> Path:
    """Class folders and `train_test_split` in `root`."""
    for label, sides in clips.items():
        for side, names in sides.items():
            write_files(root / label, [f"{name}.seq" for name in names], write)
            path = root / "train_test_split" / side / f"{label}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return root


def write_files(folder: Path, names: Iterable[str], write: Write) -> None:
    """The named files in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder / name)


def write_rar(path: Path, files: Mapping[str, bytes]) -> None:
    """A RAR archive of version 4 that stores its files as they are; a name may have folders."""

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        size = 7 + len(fields)
        rest = struct.pack("<BHH", kind, flags, size) + fields
        return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest

    parts = [b"Rar!\x1a\x07\x00", block(0x73, 0, bytes(6))]
    for name, content in files.items():
        encoded = name.replace("/", "\\").encode()  # the separator in every RAR archive
        # Packed and true size, Unix, checksum, 1980-01-01, version 2.0, "stored", rights.
        fields = struct.pack(
            "<IIBIIBBHI",
            *(len(content), len(content), 3, zlib.crc32(content), 0x00210000, 20, 0x30),
            *(len(encoded), 0o100644),
        )
        parts += [block(0x74, 0x8000, fields + encoded), content]
    parts.append(block(0x7B, 0x4000, b""))
    path.write_bytes(b"".join(parts))
