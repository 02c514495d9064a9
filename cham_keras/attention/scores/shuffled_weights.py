"""A model whose weights say nothing: what its maps show, the data and the architecture make.

The randomisation test of Adebayo et al. (Sanity Checks for Saliency Maps, NeurIPS 2018). Each
array of weights keeps its numbers and loses their places, so scales stay as they were trained.
"""

import keras
import numpy as np


def shuffle_weights(model: keras.Model, seed: int, part: str = "") -> None:
    """Puts the numbers of each array of weights in an order of chance, in place.

    Args:
        model: any model. What is not trained, such as the statistics that features are
            standardised by, stays.
        seed: seed of the order.
        part: only of weights whose name holds this.

    Raises:
        ValueError: no weight is named so.

    Example:
    >>> model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    >>> before = model.get_weights()
    >>> shuffle_weights(model, seed=0, part="kernel")
    >>> after = model.get_weights()
    >>> bool((before[0] == after[0]).all()), bool(np.isin(before[0], after[0]).all())
    (False, True)
    """
    rng = np.random.default_rng(seed)
    chosen = [weight for weight in model.trainable_weights if part in weight.name]
    if not chosen:
        raise ValueError(f"`part` must be in the name of a weight. Received: {part!r}.")
    for weight in chosen:
        numbers = keras.ops.convert_to_numpy(weight)
        weight.assign(rng.permutation(numbers.ravel()).reshape(numbers.shape))
