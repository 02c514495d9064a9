"""FC-Attention: the baseline with a fully connected attention LSTM."""

import keras

from cham_keras.layers import SoftAttentionLSTMCell, SpatialRNN
from cham_keras.models.attention_maps import RECURRENT_LAYER_NAME
from cham_keras.models.attention_penalty import with_penalty
from cham_keras.models.classification_head import dense_head_of_states
from cham_keras.models.clip_inputs import clip_inputs
from cham_keras.models.initial_states import initial_vectors


def fc_attention(
    input_shape,
    num_classes,
    *,
    units=512,
    attention_units=None,
    candidate_activation="tanh",
    unit_forget_bias=False,
    initial_state="mean",
    head_units=512,
    dropout=0.5,
    recurrent_dropout=0.0,
    attention_penalty=0.0,
    standardize=False,
    temporal_differences="none",
    feature_dropout=0.0,
    lengths=False,
    seed=None,
    name="fc_attention",
):
    """Builds the soft attention LSTM of the paper's [10], its baseline.

    Args:
        input_shape: `(time or None, height, width, channels)` of the features.
        num_classes: number of classes.
        units: size of the states.
        attention_units: units inside the attention; default: `units`.
        candidate_activation: non-linearity of the candidate.
        unit_forget_bias: whether the forget gate's bias starts at one.
        initial_state: `"mean"`: h and c by a dense tanh layer each from the mean
            feature; `"learned"`: trained vectors; or `"zeros"`.
        head_units: size of the dense layer; 0 for none.
        dropout: before and behind the dense layer.
        recurrent_dropout: on the hidden state.
        attention_penalty: weight α of α · Σ_i (1 − Σ_t a_ti)², which training adds to
            the loss; 0 for none.
        standardize: whether the features are standardized first, channel by channel;
            `set_feature_statistics` sets the statistics.
        temporal_differences: `"none"`; `"beside"`: the absolute differences to the frame
            before go in behind the features; or `"only"`: in their place. They are taken of
            raw features and standardized then.
        feature_dropout: share of the input's channels dropped in training, in all frames
            and positions of a clip alike.
        lengths: whether the model also takes `lengths`, int32 `(batch,)`: the
            number of valid frames of each clip.
        seed: seed of the dropouts; weights follow `keras.utils.set_random_seed`.
        name: name of the model.

    Returns:
        a functional `keras.Model` from features `(batch, time, height, width,
        channels)`, or from `{"features", "lengths"}`, to probabilities
        `(batch, time, num_classes)`. `with_attention` gives the maps beside them.

    Example:

    >>> from cham_keras import models
    >>> model = models.fc_attention((30, 7, 7, 64), num_classes=6, units=32)
    >>> model.output_shape
    (None, 30, 6)
    """
    inputs, features, num_frames = clip_inputs(
        input_shape,
        lengths,
        standardize,
        temporal_differences=temporal_differences,
        feature_dropout=feature_dropout,
        seed=seed,
    )
    cell = SoftAttentionLSTMCell(
        units,
        attention_units=attention_units,
        candidate_activation=candidate_activation,
        unit_forget_bias=unit_forget_bias,
        recurrent_dropout=recurrent_dropout,
        seed=seed,
    )
    outputs, attention = SpatialRNN(
        cell, return_sequences=True, return_attention=True, name=RECURRENT_LAYER_NAME
    )(
        features,
        initial_state=initial_vectors(features, num_frames, initial_state, units),
        lengths=num_frames,
    )
    outputs = with_penalty(outputs, attention, num_frames, alpha=attention_penalty)
    probabilities = dense_head_of_states(
        outputs, num_classes, units=head_units, dropout=dropout, seed=seed
    )
    return keras.Model(inputs, probabilities, name=name)
