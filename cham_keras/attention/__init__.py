"""Where a model looks: attention maps of videos as numbers, pictures and films.

attention_reader.py  from a run and a video to `ClipAttention`
explain.py           pictures and films of chosen clips; clip_choice.py chooses
overlay.py           maps over frames
pictures.py, video.py, comparison_video.py, wording.py   draw with it
scores/              how good attention is, in numbers
"""

from cham_keras.attention.attention_reader import AttentionReader, attention_of_video
from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.comparison_video import write_comparison_video
from cham_keras.attention.explain import (
    Explanation,
    explain_folder,
    explain_split,
    explain_video,
)
from cham_keras.attention.overlay import overlay
from cham_keras.attention.pictures import write_attention_picture, write_comparison_picture
from cham_keras.attention.scores.attention_scores import AttentionScores, MapScore
from cham_keras.attention.scores.score_attention import score_attention
from cham_keras.attention.video import write_attention_video

__all__ = [
    "AttentionReader",
    "AttentionScores",
    "ClipAttention",
    "Explanation",
    "MapScore",
    "attention_of_video",
    "explain_folder",
    "explain_split",
    "explain_video",
    "overlay",
    "score_attention",
    "write_attention_picture",
    "write_attention_video",
    "write_comparison_picture",
    "write_comparison_video",
]
