"""From videos to batches: clip lists, decoding, backbones, shards, tf.data."""

from cham_keras.data.backbone_spec import BackboneSpec
from cham_keras.data.backbones import Backbone, load_backbone, load_backbone_from_spec
from cham_keras.data.clip_dataset import clip_dataset, clip_windows
from cham_keras.data.clip_list import Clip, ClipList, read_clip_list, write_clip_list
from cham_keras.data.clip_record import ClipFeatures
from cham_keras.data.extraction import extract
from cham_keras.data.frames.video import VideoInfo, probe_video, read_frames, write_video
from cham_keras.data.manifest import Manifest, UnreadableClip, read_manifest, write_manifest
from cham_keras.data.shard_reader import ClipRecord, clips_in_split, shard_errors_named
from cham_keras.data.shards import write_shards
from cham_keras.data.splits import assign_splits
from cham_keras.data.verify import Problem, verify_shards

__all__ = [
    "Backbone",
    "BackboneSpec",
    "Clip",
    "ClipFeatures",
    "ClipList",
    "ClipRecord",
    "Manifest",
    "Problem",
    "UnreadableClip",
    "VideoInfo",
    "assign_splits",
    "clip_dataset",
    "clip_windows",
    "clips_in_split",
    "extract",
    "load_backbone",
    "load_backbone_from_spec",
    "probe_video",
    "read_clip_list",
    "read_frames",
    "read_manifest",
    "shard_errors_named",
    "verify_shards",
    "write_clip_list",
    "write_manifest",
    "write_shards",
    "write_video",
]
