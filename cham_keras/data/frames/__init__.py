"""Where frames come from: video files, Norpix sequences, folders of numbered images.

clip_frames.py     any of them: what a clip states, and its frames
video.py           what FFmpeg reads, and writing films
norpix.py          Norpix sequences; norpix_header.py has the rules of their headers
image_folder.py    folders of numbered images
chosen_frames.py   some frames by their numbers; cropping.py: parts of frames
resizing.py        frames to the size of a backbone
still_images.py    one still image as an array
"""

from cham_keras.data.frames.clip_frames import (
    CLIP_SUFFIXES,
    clips_in_folder,
    frame_at,
    probe_clip,
    read_clip_frames,
)
from cham_keras.data.frames.image_folder import IMAGE_SUFFIXES, ImageFolder, is_image_folder
from cham_keras.data.frames.norpix import NorpixSequence
from cham_keras.data.frames.resizing import INTERPOLATIONS, Resizing
from cham_keras.data.frames.video import (
    VIDEO_SUFFIXES,
    VideoInfo,
    probe_video,
    read_frames,
    require_frame_rate,
    write_video,
)

__all__ = [
    "CLIP_SUFFIXES",
    "IMAGE_SUFFIXES",
    "INTERPOLATIONS",
    "VIDEO_SUFFIXES",
    "ImageFolder",
    "NorpixSequence",
    "Resizing",
    "VideoInfo",
    "clips_in_folder",
    "frame_at",
    "is_image_folder",
    "probe_clip",
    "probe_video",
    "read_clip_frames",
    "read_frames",
    "require_frame_rate",
    "write_video",
]
