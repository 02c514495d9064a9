"""Small feature files in the layouts that `cham import-hdf5` knows, for its tests."""

import csv

import h5py
import numpy as np
import tensorflow as tf

#: Split in the files' names -> (name, label, number of frames) of each clip.
CLIPS = {
    "train": [("wave/a (1).avi", 10, 4), ("wave/b.avi", 10, 1), ("run/c.avi", 2, 6)],
    "valid": [("run/d.avi", 2, 3)],
    "test": [("wave/e&f.avi", 10, 2), ("run/g.avi", 2, 5)],
}
#: Height, width (another one, so that a swap shows) and channels.
MAP_SHAPE = (2, 3)
CHANNELS = 5


def write_concatenated_files(folder, clips=None, order="F"):
    """Writes the files of the FC-Attention authors; returns each clip's maps by its name."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    maps = {}
    for split, listed in (clips or CLIPS).items():
        rows = []
        for name, _, num_frames in listed:
            maps[name] = rng.normal(size=(num_frames, *MAP_SHAPE, CHANNELS)).astype("float32")
            rows += [frame.reshape(-1, CHANNELS).flatten(order=order) for frame in maps[name]]
        with h5py.File(folder / f"{split}_features.h5", "w") as file:
            file["features"] = np.stack(rows)
        columns = {
            "filename": [name for name, _, _ in listed],
            "labels": [label for _, label, _ in listed],
            "framenum": [num_frames for _, _, num_frames in listed],
        }
        for what, values in columns.items():
            lines = "".join(f"{value}\n" for value in values)
            (folder / f"{split}_{what}.txt").write_text(lines)
    return maps


def write_file_with_a_dataset_per_clip(path, rank=4, **how):
    """Writes a data set for each clip; returns the clips' maps by name."""
    rng = np.random.default_rng(1)
    maps = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("hop/a", "hop/b", "hop/c", "run/a", "run/b", "run/c")):
            maps[name] = rng.normal(size=(number + 1, *MAP_SHAPE, CHANNELS)).astype("float32")
            stored = maps[name]
            if rank == 3:
                stored = stored.reshape(len(stored), -1, CHANNELS)
            file.create_dataset(name, data=stored, **how)
    return maps


def write_csv(path, names, **columns):
    """A CSV file with the columns path and label, and others; label: the HDF5 group."""
    rows = [
        {"path": name, "label": name.split("/")[0]}
        | {column: values[number] for column, values in columns.items()}
        for number, name in enumerate(names)
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def features_in_shards(folder, feature_shape, dtype="float32"):
    """What shards hold, read without the package's own reader: features by the clip's id."""
    features = {}
    for path in sorted(folder.glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            name = feature["clip/id"].bytes_list.value[0].decode()
            frames = b"".join(feature["frames/features"].bytes_list.value)
            features[name] = np.frombuffer(frames, dtype).reshape(-1, *feature_shape)
    return features
