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
        `(frames, positions, taps, filters)`: what each output position meets at
        each tap; any other number where the tap lies outside.
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
    if plan.num_taps > 1:
        products = [ops.take(ops.concatenate(products, axis=1), plan.pairs, axis=1)]
    shape = (plan.num_positions, plan.num_taps, filters)
    # (frames, positions * taps, filters) -> (frames, positions, taps, filters)
    return ops.reshape(products[0], (-1, *shape))


def sum_of_taps(products, attention, plan):
    """(l · F) ∗ W from the products of its taps.

    Args:
        products: `(batch, positions, taps, filters)` of one step.
        attention: `(batch, positions)`, l of this step.
        plan: the plan that the products were made with.

    Returns:
        `(batch, positions, filters)`.
    """
    filters = products.shape[-1]
    if plan.num_taps == 1:  # the map commutes with the whole convolution
        return products[:, :, 0, :] * ops.expand_dims(attention, -1)
    # Taps outside the map weigh nothing.
    weights = ops.take(ops.pad(attention, ((0, 0), (0, 1))), plan.neighbours, axis=1)
    # A row of weights and a matrix of products for each clip and position.
    summed = ops.matmul(
        ops.reshape(weights, (-1, 1, plan.num_taps)),
        ops.reshape(products, (-1, plan.num_taps, filters)),
    )
    return ops.reshape(summed, (-1, plan.num_positions, filters))


def gradient_of_attention(products, dz, plan):
    """The gradient of `sum_of_taps` with respect to the attention.

    Args:
        products: `(batch, positions, taps, filters)` of one step.
        dz: `(batch, positions, filters)`, gradient of the sum.
        plan: the plan that the products were made with.

    Returns:
        `(batch, positions)`.
    """
    filters = dz.shape[-1]
    if plan.num_taps == 1:
        return ops.sum(products[:, :, 0, :] * dz, axis=-1)
    of_weights = ops.matmul(
        ops.reshape(products, (-1, plan.num_taps, filters)),
        ops.reshape(dz, (-1, filters, 1)),
    )
    of_weights = ops.reshape(of_weights, (-1, plan.num_positions * plan.num_taps))
    # Each position stands in the weights of all outputs that it meets.
    met = ops.take(ops.pad(of_weights, ((0, 0), (0, 1))), plan.outputs, axis=1)
    return ops.sum(ops.reshape(met, (-1, plan.num_positions, plan.num_taps)), axis=-1)
