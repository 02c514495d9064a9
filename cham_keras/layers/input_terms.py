"""What the input adds to the sums inside Eq. 1 to 4, and its gradient by hand.

Two answers to the same questions, asked by `ConvLSTMRecurrence`: `PlainInput`
convolves the features, `AttendedInput` the features times their attention map.

Letters beside those of `equations`: s = tanh(W_xa ∗ F + W_ha ∗ h + b_a), e = the
scores W_z ∗ s. A name with d in front is the gradient with respect to it. Maps
are flattened, P = positions, A = attention filters, 4U = four gates.
"""

from keras import ops

from cham_keras.layers.attended_convolution import (
    gradient_of_attention,
    sum_of_taps,
    tap_products,
)
from cham_keras.layers.equations import attention_map, full_precision
from cham_keras.layers.kernel_gradient import kernel_gradient, transformed_floats
from cham_keras.layers.map_convolution import (
    as_matrix,
    as_transposed_matrix,
    convolve_back,
    convolve_back_tap_by_tap,
    convolve_by_product,
)


class PlainInput:
    """F ∗ W; nothing of it depends on the state.

    Args:
        plan: `MapPlan` of the map and the input kernel.
        most_floats: of `kernel_gradient`.
        weights: `[kernel]`.
    """

    def __init__(self, plan, most_floats, weights):
        self.plan = plan
        self.most_floats = most_floats
        (self.kernel,) = weights

    @staticmethod
    def floats_of_frame(plan, channels, filters, training):
        """Most numbers that a frame takes at once; `filters` are those of the gates."""
        neighbours = (plan.num_taps > 1) * (plan.num_taps + 1) * channels
        forward = plan.num_positions * (neighbours + filters)
        backward = transformed_floats(plan, channels, filters) if training else 0
        return max(forward, backward)

    def hoist(self, features):
        """All that does not depend on the state: features `(frames, P, D)` to a list."""
        return [convolve_by_product(features, as_matrix(self.kernel), self.plan)]

    def of_step(self, hoisted, h):
        """The term at one step, `(batch, P, 4U)`; and None, for there is no attention."""
        return hoisted[0], None

    def prepare_gradient(self, hoisted, h):
        """What `step_back` needs at every step, from all steps `(time, batch, ...)`."""
        return []

    def records_like(self, h):
        """Tensors like those that `step_back` keeps."""
        return []

    def step_back(self, prepared, dz):
        """From dz at one step: the gradient of h, and what to keep."""
        return 0, []

    def weight_gradients(self, features, h, prepared, dz, records):
        """Gradients of the weights, over all frames `(frames, P, ...)`."""
        return [kernel_gradient(features, dz, self.plan, self.most_floats)]

    def kept_for_features(self, prepared, records):
        """What `feature_gradient` needs beside dz."""
        return []

    def feature_gradient(self, dz, kept):
        """Gradient of the features, over all frames."""
        return convolve_back_tap_by_tap(dz, self.kernel, self.plan)


class AttendedInput:
    """(l · F) ∗ W with the attention l of Eq. 8.

    Args:
        plan: `MapPlan` of the map and the input kernel.
        attention_plan: `MapPlan` of the map and the attention's kernels.
        scale: what an attention map sums to.
        most_floats: of `kernel_gradient`.
        weights: `[kernel, attention_input_kernel, attention_recurrent_kernel,
            attention_bias, attention_score_kernel]`.
    """

    def __init__(self, plan, attention_plan, scale, most_floats, weights):
        self.plan = plan
        self.most_floats = most_floats
        self.attention_plan = attention_plan
        self.scale = scale
        self.kernel, self.input_kernel, recurrent_kernel, self.bias, score_kernel = weights
        self.recurrent_matrix = as_matrix(recurrent_kernel)
        self.transposed_matrix = as_transposed_matrix(recurrent_kernel)
        self.score_vector = ops.reshape(score_kernel, (-1,))
        self.score_kernel_shape = score_kernel.shape

    @staticmethod
    def floats_of_frame(plan, attention_plan, channels, filters, attention_filters, training):
        """Most numbers that a frame takes at once; `filters` are those of the gates."""
        taps = attention_plan.num_taps
        projected = plan.num_positions * ((taps > 1) * (taps + 1) * channels + attention_filters)
        products = plan.num_positions * plan.num_taps * filters
        # On the way to the products: windows of the features, and the pairs.
        making = 2 * plan.num_positions * channels + plan.num_pairs * filters
        # The products are still there when the gradient of the kernel is taken:
        # the attended features, and what the transforms make of them.
        backward = plan.num_positions * channels + transformed_floats(plan, channels, filters)
        return products + projected + max(making, backward if training else 0)

    def hoist(self, features):
        """All that does not depend on the state: features `(frames, P, D)` to a list."""
        projected = convolve_by_product(features, as_matrix(self.input_kernel), self.attention_plan)
        return [tap_products(features, self.kernel, self.plan), projected + self.bias]

    def of_step(self, hoisted, h):
        """The term at one step, `(batch, P, 4U)`, and the attention `(batch, P)`."""
        products, projected = hoisted
        _, attention = self._attention(projected, h)
        return sum_of_taps(products, attention, self.plan), attention

    def _attention(self, projected, h):
        """The s and l that follow from W_xa ∗ F + b_a and h, `(frames, P, ...)`."""
        s = ops.tanh(projected + convolve_by_product(h, self.recurrent_matrix, self.attention_plan))
        scores = ops.matmul(s, ops.expand_dims(self.score_vector, -1))[..., 0]
        return s, attention_map(scores, self.scale)

    def prepare_gradient(self, hoisted, h):
        """What `step_back` needs at every step, from all steps `(time, batch, ...)`."""
        products, projected = hoisted
        time, batch = ops.shape(h)[:2]
        # Given all h, the attention of all steps needs no loop.
        s, attention = self._attention(
            ops.reshape(projected, (-1, *projected.shape[2:])), ops.reshape(h, (-1, *h.shape[2:]))
        )
        return [
            products,
            ops.reshape(s, (time, batch, *s.shape[1:])),
            ops.reshape(attention, (time, batch, *attention.shape[1:])),
        ]

    def records_like(self, h):
        """Tensors like those that `step_back` keeps."""
        batch, positions, _ = ops.shape(h)
        width = self.score_vector.shape[0]
        return [
            ops.zeros((batch, positions, width), dtype=h.dtype),
            ops.zeros((batch, positions), dtype=h.dtype),
        ]

    def step_back(self, prepared, dz):
        """From dz at one step: the gradient of h, and what to keep."""
        products, s, attention = prepared
        d_attention = gradient_of_attention(products, dz, self.plan)
        # The softmax of Eq. 8, in float32 as it was taken; a map sums to the scale.
        dtype = full_precision(dz.dtype)
        attention, d_attention = ops.cast(attention, dtype), ops.cast(d_attention, dtype)
        mean = ops.sum(attention * d_attention, axis=-1, keepdims=True) / self.scale
        de = ops.cast(attention * (d_attention - mean), dz.dtype)
        ds = ops.expand_dims(de, -1) * self.score_vector * (1 - s * s)
        return convolve_back(ds, self.transposed_matrix, self.attention_plan), [ds, de]

    def weight_gradients(self, features, h, prepared, dz, records):
        """Gradients of the weights, over all frames `(frames, P, ...)`."""
        _, s, attention = prepared
        ds, de = records
        attended = features * ops.expand_dims(attention, -1)
        flat_s = ops.reshape(s, (-1, s.shape[-1]))
        d_score_kernel = ops.matmul(ops.transpose(flat_s), ops.reshape(de, (-1, 1)))
        return [
            kernel_gradient(attended, dz, self.plan, self.most_floats),
            kernel_gradient(features, ds, self.attention_plan, self.most_floats),
            kernel_gradient(h, ds, self.attention_plan, self.most_floats),
            sum_over_frames(ds),
            ops.reshape(d_score_kernel, self.score_kernel_shape),
        ]

    def kept_for_features(self, prepared, records):
        """What `feature_gradient` needs beside dz."""
        return [prepared[2], records[0]]

    def feature_gradient(self, dz, kept):
        """Gradient of the features, over all frames."""
        attention, ds = kept
        through_kernel = convolve_back_tap_by_tap(dz, self.kernel, self.plan)
        through_attention = convolve_back_tap_by_tap(ds, self.input_kernel, self.attention_plan)
        return through_kernel * ops.expand_dims(attention, -1) + through_attention


def sum_over_frames(gradient):
    """Gradient of a bias from that of what it was added to; summed in float32 at least."""
    rows = ops.cast(ops.reshape(gradient, (-1, gradient.shape[-1])), full_precision(gradient.dtype))
    return ops.cast(ops.sum(rows, axis=0), gradient.dtype)
