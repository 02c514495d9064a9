"""ConvALSTM: the convolutional attention LSTM as the paper's [22] sets it up."""

from cham_keras.models.conv_attention import conv_attention


def conv_alstm(
    input_shape,
    num_classes,
    *,
    filters=512,
    kernel_size=3,
    input_kernel_size=None,
    attention_filters=None,
    attention_kernel_size=1,
    attention_scale=1.0,
    candidate_activation="tanh",
    unit_forget_bias=False,
    initial_state="mean_conv",
    pooling="flatten",
    head_units=1024,
    dropout=0.7,
    recurrent_dropout=0.0,
    attention_penalty=0.0,
    standardize=False,
    temporal_differences="none",
    feature_dropout=0.0,
    lengths=False,
    seed=None,
    name="conv_alstm",
):
    """Builds the ConvALSTM of the paper's [22], on RGB frames alone (Table 4).

    The cell is that of `conv_attention`. Other than there, the candidate is tanh, the
    states start from the mean of the clip's features, and the dense layer sees every
    position of the map by itself, with more units and more dropout.

    Args:
        input_shape: `(time or None, height, width, channels)` of the features.
        num_classes: number of classes.
        filters: channels of the states.
        kernel_size: kernel from state to state.
        input_kernel_size: kernel from input to state; default: `kernel_size`.
        attention_filters: channels inside the attention; default: `filters`.
        attention_kernel_size: kernel of the attention's two projections.
        attention_scale: what an attention map sums to.
        candidate_activation: `"tanh"`, or `"sigmoid"`.
        unit_forget_bias: whether the forget gate's bias starts at one.
        initial_state: `"mean_conv"`: h and c by a 3x3 convolution with tanh each from
            the mean of the clip's features; `"learned"`: trained maps; or `"zeros"`.
        pooling: `"flatten"`, or `"average"` or `"max"` over the positions before the
            dense layer.
        head_units: size of the dense layer; 0 for none.
        dropout: on the dense layer's outputs.
        recurrent_dropout: on the hidden state.
        attention_penalty: as for `conv_attention`.
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
    >>> model = models.conv_alstm((30, 7, 7, 64), num_classes=6, filters=16)
    >>> tuple(model.get_layer("hidden").kernel.shape)
    (784, 1024)
    """
    return conv_attention(
        input_shape,
        num_classes,
        filters=filters,
        kernel_size=kernel_size,
        input_kernel_size=input_kernel_size,
        attention_filters=attention_filters,
        attention_kernel_size=attention_kernel_size,
        attention_scale=attention_scale,
        candidate_activation=candidate_activation,
        unit_forget_bias=unit_forget_bias,
        initial_state=initial_state,
        pooling=pooling,
        head_units=head_units,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        attention_penalty=attention_penalty,
        standardize=standardize,
        temporal_differences=temporal_differences,
        feature_dropout=feature_dropout,
        lengths=lengths,
        seed=seed,
        name=name,
    )
