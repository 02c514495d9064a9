"""Functions that build functional models, one for each system of the paper."""

from cham_keras.models.attention_maps import with_attention
from cham_keras.models.cham import cham
from cham_keras.models.conv_attention import conv_attention
from cham_keras.models.fc_attention import fc_attention
from cham_keras.models.start_states import start_states, start_states_from_clip
from cham_keras.models.streaming import streaming

__all__ = [
    "cham",
    "conv_attention",
    "fc_attention",
    "start_states",
    "start_states_from_clip",
    "streaming",
    "with_attention",
]
