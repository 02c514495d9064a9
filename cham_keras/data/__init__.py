"""From videos to batches: clip lists, decoding, backbones, shards, tf.data.

prepare/        data sets as they lie on a disk become clip lists
frames/         where frames come from
backbones/      networks that turn frames into features
extraction/     from videos to shards
shards/         their form, writing and checking
feature_files/  HDF5 files of features become shards
reading/        from shards to batches
"""

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.backbones.backbones import (
    Backbone,
    grid_of_spec,
    load_backbone,
    load_backbone_from_spec,
)
from cham_keras.data.backbones.feature_grid import FeatureGrid
from cham_keras.data.clip_list import Clip, ClipList, read_clip_list, write_clip_list
from cham_keras.data.clip_list_union import union_of_clip_lists
from cham_keras.data.extraction.extraction import extract
from cham_keras.data.fold_views import (
    resplit_into_folds,
    resplit_to_validate,
    resplit_without_pairs_of_folds,
)
from cham_keras.data.frames.video import VideoInfo, probe_video, read_frames, write_video
from cham_keras.data.reading.clip_dataset import clip_dataset, clip_windows
from cham_keras.data.reading.frame_augmentation import FrameAugmentation
from cham_keras.data.reading.frame_clips import clip_errors_named
from cham_keras.data.reading.frame_dataset import frame_dataset
from cham_keras.data.reading.shard_reader import ClipRecord, clips_in_split, shard_errors_named
from cham_keras.data.shards.clip_record import ClipFeatures
from cham_keras.data.shards.manifest import Manifest, UnreadableClip, read_manifest, write_manifest
from cham_keras.data.shards.shards import write_shards
from cham_keras.data.shards.verify import (
    Problem,
    Verification,
    verification_of_shards,
    verify_shards,
)
from cham_keras.data.split_views import resplit
from cham_keras.data.splits import assign_splits, grouped_folds, leave_one_out_folds

__all__ = [
    "Backbone",
    "BackboneSpec",
    "Clip",
    "ClipFeatures",
    "ClipList",
    "ClipRecord",
    "FeatureGrid",
    "FrameAugmentation",
    "Manifest",
    "Problem",
    "UnreadableClip",
    "Verification",
    "VideoInfo",
    "assign_splits",
    "clip_dataset",
    "clip_errors_named",
    "clip_windows",
    "clips_in_split",
    "extract",
    "frame_dataset",
    "grid_of_spec",
    "grouped_folds",
    "leave_one_out_folds",
    "load_backbone",
    "load_backbone_from_spec",
    "probe_video",
    "read_clip_list",
    "read_frames",
    "read_manifest",
    "resplit",
    "resplit_into_folds",
    "resplit_to_validate",
    "resplit_without_pairs_of_folds",
    "shard_errors_named",
    "union_of_clip_lists",
    "verification_of_shards",
    "verify_shards",
    "write_clip_list",
    "write_manifest",
    "write_shards",
    "write_video",
]
