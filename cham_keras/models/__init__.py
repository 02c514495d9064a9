"""Functions that build functional models, one for each system of the paper."""

from cham_keras.models.attention_maps import with_attention
from cham_keras.models.cham import cham
from cham_keras.models.conv_attention import conv_attention
from cham_keras.models.fc_attention import fc_attention

__all__ = ["cham", "conv_attention", "fc_attention", "with_attention"]
