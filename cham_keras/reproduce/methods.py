"""The methods of the tables: how each is called and what carries it out."""

import dataclasses
from typing import Literal

#: `features`: `train` on shards. `frames`: that, then fine-tuning from frames.
#: `trajectories`: from videos, without a CNN. `pooled`: linear classifiers on pooled features.
Kind = Literal["features", "frames", "trajectories", "pooled"]


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of a table.

    Attributes:
        name: as it is asked for and as its folder is called.
        label: as it stands in a table.
        kind: what carries it out.
    """

    name: str
    label: str
    kind: Kind = "features"


#: In the order of the paper's Table 4; the controls and the yardsticks follow.
METHODS = (
    Method("softmax_regression", "Softmax regression"),
    Method("spatial_convnet", "Spatial ConvNet, fine-tuned", "frames"),
    Method("trajectories", "Trajectory-based modelling", "trajectories"),
    Method("average_pooled_lstm", "Average-pooled LSTM"),
    Method("fc_attention", "FC-Attention"),
    Method("conv_alstm", "ConvALSTM (RGB)"),
    Method("conv_attention", "Conv-Attention"),
    Method("cham", "CHAM"),
    Method("conv_attention_60_frames", "Conv-Attention, 60 frames"),
    Method("cham_skip_1", "CHAM, skip 1"),
    Method("cham_skip_3", "CHAM, skip 3"),
    Method("pooled", "Best pooled baseline", "pooled"),
)


def methods_named(names: tuple[str, ...]) -> tuple[Method, ...]:
    """The methods of these names, in the order of the tables.

    Raises:
        ValueError: a name is not known.

    Example:

    >>> [method.label for method in methods_named(("cham", "fc_attention"))]
    ['FC-Attention', 'CHAM']
    """
    known = {method.name for method in METHODS}
    for name in names:
        if name not in known:
            raise ValueError(
                f"`methods` must be among {', '.join(m.name for m in METHODS)}. Received: {name!r}."
            )
    return tuple(method for method in METHODS if method.name in names)
