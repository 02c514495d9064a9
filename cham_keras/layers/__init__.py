"""Recurrent layers whose states keep the map, and the cells that go into them.

Needs Keras only; imports nothing else of the package.
"""

from cham_keras.layers.average_pooled_lstm_cell import AveragePooledLSTMCell
from cham_keras.layers.conv_attention_lstm_cell import ConvAttentionLSTMCell
from cham_keras.layers.conv_lstm_cell import ConvLSTMCell
from cham_keras.layers.hierarchical_skip_rnn import HierarchicalSkipRNN
from cham_keras.layers.soft_attention_lstm_cell import SoftAttentionLSTMCell
from cham_keras.layers.spatial_rnn import SpatialRNN

__all__ = [
    "AveragePooledLSTMCell",
    "ConvAttentionLSTMCell",
    "ConvLSTMCell",
    "HierarchicalSkipRNN",
    "SoftAttentionLSTMCell",
    "SpatialRNN",
]
