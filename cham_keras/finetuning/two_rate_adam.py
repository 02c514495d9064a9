"""Adam with a learning rate of its own for each variable: the CNN is moved less than the rest.

Comes in: a factor for each variable. `tuned_model` compiles a model with it. Scaling the gradients
instead would do nothing: Adam divides by their size.
"""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("cham_keras")
class TwoRateAdam(keras.optimizers.Adam):
    """Adam whose learning rate is multiplied by a factor for each variable.

    On Keras's TensorFlow and JAX backends. On PyTorch's, Keras moves all variables at once and
    would pass over the factors.

    Args:
        factors: one for each trainable variable of the model, in its order.
        **arguments: of `keras.optimizers.Adam`.

    Raises:
        ValueError: there is another number of variables than of factors; when it is built.

    Example:
    >>> slow, fast = keras.Variable([1.0]), keras.Variable([1.0])
    >>> optimizer = TwoRateAdam(factors=[0.1, 1.0], learning_rate=0.5)
    >>> optimizer.apply([keras.ops.ones(1), keras.ops.ones(1)], [slow, fast])
    >>> round(float(slow[0]), 3), round(float(fast[0]), 3)
    (0.95, 0.5)
    """

    def __init__(self, factors: Sequence[float], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.factors = [float(factor) for factor in factors]

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the moments."""
        if len(variables) != len(self.factors):
            raise ValueError(
                f"`factors` must be one for each of the {len(variables)} variables. "
                f"Received: {len(self.factors)}."
            )
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable."""
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factors": self.factors}
