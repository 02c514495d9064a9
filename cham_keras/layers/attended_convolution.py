"""The input convolution of attended features, with all heavy products before the loop.

A map of weights l commutes with a product over channels, so with the taps d of
the kernel W

    (l · F) ∗ W at position p  =  Σ_d  l(p + d) · (F(p + d) W_d)

and no F(q) W_d depends on the recurrence. `tap_products` computes them for all
frames at once; `sum_of_taps` is what is left for each step: scale and add. Taps
that fall outside the map are never computed (361 of 441 pairs on 7x7, 3x3).

Maps are flattened: `(frames, positions, channels)`; pairs and plans are those
of `map_convolution`.
"""

from keras import ops


def tap_products(features, kernel, plan):
    """F(q) W_d for all frames and all pairs of the plan.

    Args:
        features: `(frames, positions, channels)`.
        kernel: `(rows, columns, channels, filters)`.
        plan: the plan for this map and kernel.

    Returns:
        `(frames, pairs, filters)`.
    """
    channels, filters = kernel.shape[-2:]
    taps = ops.reshape(kernel, (-1, channels, filters))
    maps = ops.reshape(features, (-1, plan.height, plan.width, channels))
    products = []
    for tap, ((rows, columns), _) in enumerate(plan.windows()):
        window = maps[:, rows, columns, :]
        num_positions = window.shape[1] * window.shape[2]
        if num_positions == 0:  # a kernel larger than the map
            continue
        product = ops.matmul(ops.reshape(window, (-1, channels)), taps[tap])
        products.append(ops.reshape(product, (-1, num_positions, filters)))
    return products[0] if len(products) == 1 else ops.concatenate(products, axis=1)


def sum_of_taps(products, attention, plan):
    """(l · F) ∗ W from the products of its taps.

    Args:
        products: `(batch, pairs, filters)` of one step.
        attention: `(batch, positions)`, l of this step.
        plan: the plan that the products were made with.

    Returns:
        `(batch, positions, filters)`.
    """
    if plan.num_taps == 1:  # the map commutes with the whole convolution
        return products * ops.expand_dims(attention, -1)
    weights = ops.take(attention, plan.source, axis=1)
    # One matrix for each clip, with l(q) where the pair (q, d) adds to p.
    summing = ops.cast(plan.is_target, weights.dtype) * ops.expand_dims(weights, 1)
    return ops.matmul(summing, products)


def gradient_of_attention(products, dz, plan):
    """The gradient of `sum_of_taps` with respect to the attention.

    Args:
        products: `(batch, pairs, filters)` of one step.
        dz: `(batch, positions, filters)`, gradient of the sum.
        plan: the plan that the products were made with.

    Returns:
        `(batch, positions)`.
    """
    if plan.num_taps == 1:
        return ops.sum(products * dz, axis=-1)
    # All pairs with all outputs, (batch, positions, pairs): faster than gathering dz.
    of_all = ops.matmul(dz, ops.transpose(products, (0, 2, 1)))
    of_pairs = ops.sum(of_all * ops.cast(plan.is_target, dz.dtype), axis=1)
    return ops.matmul(of_pairs, ops.cast(plan.is_source, dz.dtype))
