"""The paper's equations in NumPy, written from the text alone, for comparison.

Nothing here uses the package or a convolution routine: loops over positions
and taps, one equation a line. All of it is analytic, so that with complex
numbers it also gives derivatives without rounding: f'(x) = Im f(x + ih) / h.
"""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def convolve(image, kernel):
    """Cross-correlation with zero padding: (B, H, W, D) with (k, k, D, F)."""
    batch, height, width, _ = image.shape
    rows, columns, _, filters = kernel.shape
    result = np.zeros((batch, height, width, filters), np.result_type(image, kernel))
    for y in range(height):
        for x in range(width):
            for dy in range(rows):
                for dx in range(columns):
                    yy, xx = y + dy - rows // 2, x + dx - columns // 2
                    if 0 <= yy < height and 0 <= xx < width:
                        result[:, y, x] += image[:, yy, xx] @ kernel[dy, dx]
    return result


def softmax_over_positions(scores):
    """(B, H, W) -> (B, H, W), summing to one."""
    exponentials = np.exp(scores - scores.real.max(axis=(1, 2), keepdims=True))
    return exponentials / exponentials.sum(axis=(1, 2), keepdims=True)


def gates(z_i, z_f, z_c, z_o, c, candidate):
    """Eq. 1 to 6 from the sums inside the non-linearities."""
    i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
    g = sigmoid(z_c) if candidate == "sigmoid" else np.tanh(z_c)
    c = f * c + i * g
    return o * np.tanh(c), c


def conv_lstm_step(x, h, c, weights, candidate="sigmoid"):
    """Eq. 1 to 6 with x as input; the four gates' kernels lie side by side as i, f, c, o."""
    sums = [
        convolve(x, kernel) + convolve(h, recurrent) + bias
        for kernel, recurrent, bias in zip(
            np.split(weights["kernel"], 4, axis=-1),
            np.split(weights["recurrent_kernel"], 4, axis=-1),
            np.split(weights["bias"], 4),
            strict=True,
        )
    ]
    return gates(*sums, c, candidate)


def conv_attention(features, h, weights, scale=1.0):
    """Eq. 8."""
    projected = (
        convolve(h, weights["attention_recurrent_kernel"])
        + convolve(features, weights["attention_input_kernel"])
        + weights["attention_bias"]
    )
    scores = convolve(np.tanh(projected), weights["attention_score_kernel"])[..., 0]
    return softmax_over_positions(scores) * scale


def conv_attention_lstm_step(features, h, c, weights, candidate="sigmoid", scale=1.0):
    """Eq. 1 to 8: the new h and c, and the map."""
    attention = conv_attention(features, h, weights, scale)
    x = attention[..., None] * features
    h, c = conv_lstm_step(x, h, c, weights, candidate)
    return h, c, attention


def soft_attention_lstm_step(features, h, c, weights, candidate="tanh"):
    """The attention LSTM of [10]: the new h and c, and the map."""
    batch, height, width, _ = features.shape
    scores = np.zeros((batch, height, width))
    for y in range(height):
        for x in range(width):
            projected = np.tanh(
                features[:, y, x] @ weights["attention_input_kernel"]
                + h @ weights["attention_recurrent_kernel"]
                + weights["attention_bias"]
            )
            scores[:, y, x] = (projected @ weights["attention_score_kernel"])[:, 0]
    attention = softmax_over_positions(scores)
    context = (attention[..., None] * features).sum(axis=(1, 2))
    z = context @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"]
    h, c = gates(*np.split(z, 4, axis=-1), c, candidate)
    return h, c, attention


def skip_layers(clip, first_weights, second_weights, skip, candidate="sigmoid", scale=1.0):
    """CHAM's two layers by hand: `(batch, time, H, W, D)` -> h1 and held h2 at every step."""
    batch, _, height, width, _ = clip.shape
    first_filters = first_weights["recurrent_kernel"].shape[2]
    second_filters = second_weights["recurrent_kernel"].shape[2]
    h1 = c1 = np.zeros((batch, height, width, first_filters))
    h2 = c2 = np.zeros((batch, height, width, second_filters))
    outputs = []
    for t in range(1, clip.shape[1] + 1):
        h1, c1, _ = conv_attention_lstm_step(
            clip[:, t - 1], h1, c1, first_weights, candidate, scale
        )
        if t % skip == 0:
            h2, c2 = conv_lstm_step(h1, h2, c2, second_weights, candidate)
        outputs.append(np.concatenate([h1, h2], axis=-1))
    return np.stack(outputs, axis=1)
