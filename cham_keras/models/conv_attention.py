"""Conv-Attention: the convolutional attention LSTM in one layer."""

import keras

from cham_keras.layers import ConvAttentionLSTMCell, SpatialRNN
from cham_keras.models.attention_maps import RECURRENT_LAYER_NAME
from cham_keras.models.attention_penalty import with_penalty
from cham_keras.models.classification_head import convolutional_head
from cham_keras.models.clip_inputs import clip_inputs
from cham_keras.models.initial_states import initial_states
from cham_keras.models.recurrent_step import STATES_OF_ONE_LAYER


def conv_attention(
    input_shape,
    num_classes,
    *,
    filters=512,
    kernel_size=3,
    input_kernel_size=None,
    attention_filters=None,
    attention_kernel_size=1,
    attention_scale=1.0,
    candidate_activation="sigmoid",
    unit_forget_bias=False,
    initial_state="zeros",
    pooling="average",
    head_units=512,
    dropout=0.5,
    recurrent_dropout=0.0,
    attention_penalty=0.0,
    standardize=False,
    temporal_differences="none",
    feature_dropout=0.0,
    lengths=False,
    seed=None,
    name="conv_attention",
):
    """Builds the convolutional soft attention model (paper, Sec. 2.1, Fig. 1).

    Args:
        input_shape: `(time or None, height, width, channels)` of the features.
        num_classes: number of classes.
        filters: channels of the states.
        kernel_size: kernel from state to state.
        input_kernel_size: kernel from input to state; default: `kernel_size`.
        attention_filters: channels inside the attention; default: `filters`.
        attention_kernel_size: kernel of the attention's two projections.
        attention_scale: what an attention map sums to.
        candidate_activation: `"sigmoid"` as Eq. 4 prints, or `"tanh"`.
        unit_forget_bias: whether the forget gate's bias starts at one.
        initial_state: `"zeros"`; `"mean_conv"`, from the mean of the clip's features; or
            `"learned"`, trained maps.
        pooling: `"average"` or `"max"` over the positions before the dense layer, or
            `"flatten"`.
        head_units: size of the dense layer; 0 for none.
        dropout: on the dense layer's outputs.
        recurrent_dropout: on the hidden state.
        attention_penalty: weight α of α · Σ_i (1 − Σ_t a_ti)², which training adds to
            the loss, a_ti being the maps divided by `attention_scale`; 0 for none.
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
    >>> model = models.conv_attention((None, 7, 7, 64), num_classes=6, filters=16)
    >>> model.output_shape
    (None, None, 6)
    """
    inputs, features, num_frames = clip_inputs(
        input_shape,
        lengths,
        standardize,
        temporal_differences=temporal_differences,
        feature_dropout=feature_dropout,
        seed=seed,
    )
    cell = ConvAttentionLSTMCell(
        filters,
        kernel_size=kernel_size,
        input_kernel_size=input_kernel_size,
        attention_filters=attention_filters,
        attention_kernel_size=attention_kernel_size,
        attention_scale=attention_scale,
        candidate_activation=candidate_activation,
        unit_forget_bias=unit_forget_bias,
        recurrent_dropout=recurrent_dropout,
        seed=seed,
    )
    names = STATES_OF_ONE_LAYER
    outputs, attention = SpatialRNN(
        cell, return_sequences=True, return_attention=True, name=RECURRENT_LAYER_NAME
    )(
        features,
        initial_state=initial_states(features, num_frames, initial_state, names, filters),
        lengths=num_frames,
    )
    outputs = with_penalty(
        outputs,
        attention,
        num_frames,
        alpha=attention_penalty,
        attention_scale=attention_scale,
    )
    probabilities = convolutional_head(
        outputs, num_classes, units=head_units, pooling=pooling, dropout=dropout, seed=seed
    )
    return keras.Model(inputs, probabilities, name=name)
