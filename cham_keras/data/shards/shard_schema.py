"""The names that shards and their manifest are made of, shared by writer and reader.

`docs/map.md` says what each one means.
"""

#: The version of the form of shards and manifest that this code writes.
SCHEMA_VERSION = 3
#: The versions that it reads. What version 2 has no word for, views, version 3 leaves out where
#: there is none, so shards of version 2 are shards of version 3.
READABLE_VERSIONS = (2, 3)

MANIFEST_FILE = "manifest.json"

# Keys of a record, a tf.train.Example.
CLIP_ID = "clip/id"
CLIP_LABEL = "clip/label"
CLIP_GROUP = "clip/group"
CLIP_NUM_FRAMES = "clip/num_frames"
CLIP_FRAME_RATE_HZ = "clip/frame_rate_hz"
FRAMES_FEATURES = "frames/features"
#: Only where the dtype is int8: what a channel's numbers are multiplied with.
FRAMES_SCALES = "frames/scales"

#: How a feature's numbers can be stored: bytes of one number, by dtype.
BYTES_OF_DTYPE = {"float16": 2, "float32": 4, "int8": 1}
#: Bytes of one scale, a little-endian float32.
BYTES_OF_SCALE = 4


def shard_file_name(split: str, index: int, num_shards: int) -> str:
    """Name of a shard's file.

    Example:
    >>> shard_file_name("train", 0, 4)
    'train-00000-of-00004.tfrecord'
    """
    return f"{split}-{index:05d}-of-{num_shards:05d}.tfrecord"
