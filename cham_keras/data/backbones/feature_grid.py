"""Where in a frame the cells of its features lie: the middles of their receptive fields.

Comes in: a backbone's model. Goes out: a `FeatureGrid`. `Backbone.grid` asks for it;
`attention` lays maps over frames by it.

A cell need not stand over its even share of the frame. The paddings of the 7 x 7 cells of a
ResNet put them 32 pixels apart from pixel 0 on, half a cell up and to the left of even
shares; those of Keras's MobileNet end at pixel 223, half a cell down and to the right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class FeatureGrid:
    """The middles of cells in a frame, in shares of the frame's height and width.

    Frames are resized without crop, so the shares hold for the frame as the video has it.

    Attributes:
        first: (down, right), the middle of cell (0, 0).
        step: (down, right), from the middle of a cell to that of the next; above 0.

    Example:
    >>> FeatureGrid.even(4, 2)
    FeatureGrid(first=(0.125, 0.25), step=(0.25, 0.5))
    """

    first: tuple[float, float]
    step: tuple[float, float]

    @classmethod
    def even(cls, height: int, width: int) -> FeatureGrid:
        """Cells that share a frame evenly, as far as is known where nothing else is.

        Args:
            height: number of cells from top to bottom.
            width: number of cells from left to right.
        """
        return cls((0.5 / height, 0.5 / width), (1 / height, 1 / width))


def grid_of_model(model: keras.Model) -> FeatureGrid | None:
    """Follows the model's layers from the features back to the frame.

    The receptive field of a cell is the rectangle of pixels that kernels, strides and
    paddings let it see, beyond the frame's border too; its middle is where the cell lies.
    What goes over the whole frame (squeeze and excitation) has no place and is left out.

    Args:
        model: from `(batch, image_height, image_width, channels)` to
            `(batch, height, width, features)`, channels last.

    Returns:
        the grid, or None where it cannot be followed: a layer changes it in a way that is not
        known here, as in a SavedModel.

    Example:
    >>> image = keras.Input((32, 32, 3))
    >>> padded = keras.layers.ZeroPadding2D(1)(image)
    >>> features = keras.layers.Conv2D(4, 3, strides=8)(padded)
    >>> grid = grid_of_model(keras.Model(image, features))
    >>> [share * 32 for share in (grid.first[0], grid.step[0])]  # pixel 0, whose middle is 0.5
    [0.5, 8.0]
    """
    try:
        found = _fields_of(model)
    except _NotKnown:
        return None
    sizes = model.inputs[0].shape[1:3]
    return FeatureGrid(
        tuple((field.middle + 0.5) / size for field, size in zip(found, sizes, strict=True)),
        tuple(field.step / size for field, size in zip(found, sizes, strict=True)),
    )


@dataclasses.dataclass(frozen=True)
class _Field:
    """What cell 0 sees along one axis, from pixel `low` to pixel `high`; `step` pixels a cell."""

    low: float
    high: float
    step: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def through(self, before: int, reach: int, stride: int = 1) -> _Field:
        """Behind a window of `reach` + 1 cells that starts `before` cells ahead of cell 0."""
        low = self.low - before * self.step
        return _Field(low, self.high + (reach - before) * self.step, self.step * stride)

    def behind(self, other: _Field) -> _Field:
        """What this sees of the cells of `other`, as pixels."""
        low, high = (other.step * end for end in (self.low, self.high))
        return _Field(other.low + low, other.high + high, other.step * self.step)


_Fields = tuple[_Field, _Field]

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLING = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


class _NotKnown(Exception):
    """A layer changes the grid in a way that has no rule here."""


def _fields_of(model: keras.Model) -> _Fields:
    """What cell (0, 0) of a model's output sees of its input; runs the model on symbols."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise _NotKnown
    image = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
    fields: dict[int, _Fields] = {id(image): (_Field(0, 0, 1), _Field(0, 0, 1))}
    # What is known by its identity must not be collected and its identity used again.
    alive: list[Any] = []

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = operation(*args, **kwargs)
        alive.append(outputs)
        known = [
            (tensor, fields[id(tensor)])
            for tensor in keras.tree.flatten((args, kwargs))
            if id(tensor) in fields
        ]
        for output in keras.tree.flatten(outputs):
            if known and (found := _behind(operation, known, output)) is not None:
                fields[id(output)] = found
        return outputs

    # The layers themselves are called once more, on symbols; nothing is built or copied.
    clone = keras.models.clone_model(
        keras.Model(model.inputs, model.outputs),
        input_tensors=[image],
        clone_function=lambda layer: layer,
        call_function=call,
    )
    if id(clone.outputs[0]) not in fields:
        raise _NotKnown
    return fields[id(clone.outputs[0])]


def _behind(operation: Any, known: Sequence[tuple[Any, _Fields]], output: Any) -> _Fields | None:
    """The fields behind a layer or operation; None of what has no place in the frame."""
    if len(output.shape) != 4 or tuple(output.shape[1:3]) == (1, 1):
        return None
    if isinstance(operation, keras.Model):
        down, right = _fields_of(operation)
        return down.behind(known[0][1][0]), right.behind(known[0][1][1])
    if isinstance(operation, _CONVOLUTIONS):
        dilation = operation.dilation_rate
        return _windowed(operation, operation.kernel_size, dilation, *known[0])
    if isinstance(operation, _POOLING):
        return _windowed(operation, operation.pool_size, (1, 1), *known[0])
    if isinstance(operation, keras.layers.ZeroPadding2D):
        (top, _), (left, _) = operation.padding
        down, right = known[0][1]
        return down.through(top, 0), right.through(left, 0)
    if isinstance(operation, keras.layers.Cropping2D):
        (top, _), (left, _) = operation.cropping
        down, right = known[0][1]
        return down.through(-top, 0), right.through(-left, 0)
    # All else is cell by cell, or the same on all sides, where it leaves the grid as it is.
    of_this_grid = [of for tensor, of in known if tensor.shape[1:3] == output.shape[1:3]]
    if not of_this_grid:
        raise _NotKnown
    return _merged([of[0] for of in of_this_grid]), _merged([of[1] for of in of_this_grid])


def _windowed(
    layer: Any, kernel_size: Sequence[int], dilation: Sequence[int], tensor: Any, fields: _Fields
) -> _Fields:
    if layer.data_format != "channels_last":
        raise _NotKnown
    found = []
    for axis in range(2):
        size, stride = tensor.shape[1 + axis], layer.strides[axis]
        reach = (kernel_size[axis] - 1) * dilation[axis]
        before = 0
        if layer.padding == "same":
            if size is None:
                raise _NotKnown
            # TensorFlow pads what is missing for -(-size // stride) windows, the less before.
            before = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0) // 2
        found.append(fields[axis].through(before, reach, stride))
    return found[0], found[1]


def _merged(fields: Sequence[_Field]) -> _Field:
    """What branches see together."""
    if len({field.step for field in fields}) > 1:
        raise _NotKnown
    low, high = min(field.low for field in fields), max(field.high for field in fields)
    return _Field(low, high, fields[0].step)
