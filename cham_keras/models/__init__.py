"""Functions that build functional models, one for each system of the paper.

All take `(time or None, height, width, channels)` and the number of classes, and give a
model from features to the probabilities of every step. What is not a builder takes a
model that one of them gave, new or loaded.
"""

from cham_keras.models.attention_maps import has_attention, with_attention
from cham_keras.models.average_pooled_lstm import average_pooled_lstm
from cham_keras.models.cham import cham
from cham_keras.models.conv_alstm import conv_alstm
from cham_keras.models.conv_attention import conv_attention
from cham_keras.models.fc_attention import fc_attention
from cham_keras.models.feature_standardization import (
    feature_statistics,
    set_feature_statistics,
)
from cham_keras.models.from_frames import from_frames, parts_of_from_frames
from cham_keras.models.softmax_regression import softmax_regression
from cham_keras.models.spatial_convnet import spatial_convnet
from cham_keras.models.start_states import start_states, start_states_from_clip
from cham_keras.models.streaming import streaming

__all__ = [
    "average_pooled_lstm",
    "cham",
    "conv_alstm",
    "conv_attention",
    "fc_attention",
    "feature_statistics",
    "from_frames",
    "has_attention",
    "parts_of_from_frames",
    "set_feature_statistics",
    "softmax_regression",
    "spatial_convnet",
    "start_states",
    "start_states_from_clip",
    "streaming",
    "with_attention",
]
