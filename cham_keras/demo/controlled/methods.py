"""The methods that the controlled proof compares, and how each is trained.

All networks see the same features, standardized, start from zeros, have about as many
parameters where their structure lets them, and are trained in the same way. What differs
is what the method is.
"""

from dataclasses import dataclass
from typing import Any

from cham_keras.runs.settings import DataSettings, ModelSettings, OptimizerSettings, RunSettings

#: What the networks have at about 7 x 7 x 24 features and 3 classes, softmax regression
#: excepted, which has what it has.
PARAMETER_BUDGET = 14_700

#: Training ends after so many epochs without a validation loss that is lower by more than so much,
#: but not before so many: networks stand still at chance for a while before they find an order.
PATIENCE = 8
MIN_DELTA = 0.01
MIN_EPOCHS = 20

_CONVOLUTIONAL: dict[str, Any] = {
    # The demo's: maps that sum to 1 make the inputs so small that training stands still at first.
    "attention_scale": 10.0,
    "candidate_activation": "tanh",
}
_RECURRENT: dict[str, Any] = {
    "head_units": 32,
    "dropout": 0.2,
    "unit_forget_bias": True,
    # No first state from the clip's mean, by which a method would see later frames.
    "initial_state": "zeros",
}


@dataclass(frozen=True)
class Method:
    """A network of the comparison.

    Attributes:
        name: its name in files and options.
        title: its name in tables.
        model: the settings of its model.
        share_of_frames: which share of a clip's frames it is given; 1 for all.
    """

    name: str
    title: str
    model: ModelSettings
    share_of_frames: float = 1.0


def _convolutional(name: str, **sizes: Any) -> ModelSettings:
    return ModelSettings(
        name=name,  # type: ignore[arg-type]
        standardize=True,
        **{**_RECURRENT, **_CONVOLUTIONAL, **sizes},
    )


_METHODS = (
    Method(
        "softmax_regression",
        "softmax regression",
        ModelSettings(name="softmax_regression", standardize=True),
    ),
    Method(
        "average_pooled_lstm",
        "average-pooled LSTM",
        ModelSettings(name="average_pooled_lstm", standardize=True, filters=46, **_RECURRENT),
    ),
    Method(
        "fc_attention",
        "FC-Attention",
        ModelSettings(name="fc_attention", standardize=True, filters=40, **_RECURRENT),
    ),
    Method("conv_alstm", "ConvALSTM", _convolutional("conv_alstm", filters=7, head_units=19)),
    Method("conv_attention", "Conv-Attention", _convolutional("conv_attention", filters=11)),
    Method(
        "conv_attention_half",
        "Conv-Attention, half the frames",
        _convolutional("conv_attention", filters=11),
        share_of_frames=0.5,
    ),
    *(
        Method(
            f"cham_skip_{skip}", f"CHAM, skip {skip}", _convolutional("cham", filters=8, skip=skip)
        )
        for skip in (1, 2, 3)
    ),
)

#: The networks by name, in the order of the tables.
METHODS = {method.name: method for method in _METHODS}


def run_settings(method: Method, num_frames: int, seed: int, max_epochs: int) -> RunSettings:
    """How a network is trained: the same way for all.

    The epoch is chosen by the validation loss, and training ends when that has not
    improved for a while.

    Args:
        method: the network.
        num_frames: frames of the clips.
        seed: of weights, order and dropout.
        max_epochs: the most passes over the training clips.
    """
    return RunSettings(
        seed=seed,
        epochs=max_epochs,
        min_epochs=min(MIN_EPOCHS, max_epochs),
        patience=PATIENCE,
        min_delta=MIN_DELTA,
        monitor="loss",
        loss_over_time="mean",
        model=method.model,
        data=DataSettings(num_frames=round(num_frames * method.share_of_frames), batch_size=16),
        optimizer=OptimizerSettings(learning_rate=3e-3, clip_norm=1.0, decay_iteration="never"),
    )
