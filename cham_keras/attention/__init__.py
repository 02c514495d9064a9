"""Where a model looks: attention maps of videos as numbers, pictures and films."""

from cham_keras.attention.attention_reader import AttentionReader, attention_of_video
from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.explain import explain_split, explain_video
from cham_keras.attention.overlay import overlay
from cham_keras.attention.pictures import write_attention_picture, write_comparison_picture
from cham_keras.attention.video import write_attention_video

__all__ = [
    "AttentionReader",
    "ClipAttention",
    "attention_of_video",
    "explain_split",
    "explain_video",
    "overlay",
    "write_attention_picture",
    "write_attention_video",
    "write_comparison_picture",
]
