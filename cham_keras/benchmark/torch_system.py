"""The attention cell written in PyTorch, eager or with its step compiled.

Imported only where PyTorch is installed. The shapes are channels first, as PyTorch's
convolutions want them, but in memory the channels stand last: that is how features come,
and on a CPU a train step was up to 1.8 times faster so.
"""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import conv2d

from cham_keras.benchmark.problem import Problem
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.benchmark.system import System

_DTYPES = {
    "float32": torch.float32,
    "mixed_bfloat16": torch.bfloat16,
    "mixed_float16": torch.float16,
}


def attention_lstm_step(
    features: Any, h: Any, c: Any, weights: dict[str, Any], attention_scale: float
) -> tuple[Any, Any]:
    """Eq. 1 to 8 for one frame.

    Args:
        features: `(batch, channels, height, width)`.
        h: `(batch, filters, height, width)`.
        c: the same in float32.
        weights: kernels `(out, in, rows, columns)` and biases, by name.
        attention_scale: what an attention map sums to.

    Returns:
        the new h and c.
    """
    around = weights["kernel"].shape[-1] // 2
    projected = conv2d(features, weights["attention_input_kernel"], weights["attention_bias"])
    projected = projected + conv2d(h, weights["attention_recurrent_kernel"])
    scores = conv2d(torch.tanh(projected), weights["attention_score_kernel"])
    # (batch, 1, height, width) -> (batch, positions) for the softmax, and back
    flat = torch.softmax(scores.flatten(1).float(), dim=1) * attention_scale
    attention = flat.to(scores.dtype).reshape(scores.shape)
    z = conv2d(attention * features, weights["kernel"], weights["bias"], padding=around)
    z = z + conv2d(h, weights["recurrent_kernel"], padding=around)
    i, f, g, o = torch.sigmoid(z).chunk(4, dim=1)
    c = f * c + i * g
    h = o * torch.tanh(c).to(o.dtype)
    return h, c


class TorchSystem(System):
    """The recurrence as a Python loop over the steps.

    Args:
        settings: the sizes and the dtype.
        problem: features and weights.
        compiled: whether `torch.compile` makes the step.
    """

    def __init__(self, settings: BenchmarkSettings, problem: Problem, compiled: bool):
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32 in all systems
        self._dtype = _DTYPES[settings.dtype]
        self._filters = settings.filters
        self._attention_scale = problem.attention_scale
        features = torch.from_numpy(problem.features).to(self._device, self._dtype)
        # (batch, time, height, width, channels) -> (time, batch, channels, height, width)
        self._features = features.transpose(0, 1).contiguous().permute(0, 1, 4, 2, 3)
        self._weights = {
            name: _channels_first(torch.from_numpy(weight).to(self._device)).requires_grad_()
            for name, weight in problem.weights.items()
        }
        self.num_weights = sum(weight.numel() for weight in self._weights.values())
        self._step = torch.compile(attention_lstm_step) if compiled else attention_lstm_step

    def prepare(self) -> None:
        """Nothing: PyTorch compiles when it runs."""

    def inference(self) -> Any:
        with torch.no_grad():
            outputs = self._outputs()
        self._wait()
        return outputs

    def train_step(self) -> dict[str, Any]:
        loss = self._outputs().float().square().mean()
        gradients = torch.autograd.grad(loss, list(self._weights.values()))
        self._wait()
        return {
            name: gradient.permute(2, 3, 1, 0) if gradient.ndim == 4 else gradient
            for name, gradient in zip(self._weights, gradients, strict=True)
        }

    def as_array(self, tensor: Any) -> np.ndarray:
        return tensor.detach().float().cpu().numpy()

    def memory_bytes(self) -> tuple[int, int]:
        from cham_keras.process_memory import peak_resident_bytes, resident_bytes

        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
        return resident_bytes(), peak_resident_bytes()

    def reset_peak_memory(self) -> None:
        from cham_keras.process_memory import reset_peak

        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            reset_peak()

    def _outputs(self) -> Any:
        weights = {name: weight.to(self._dtype) for name, weight in self._weights.items()}
        _, batch, _, height, width = self._features.shape
        shape = (batch, height, width, self._filters)
        h = torch.zeros(shape, dtype=self._dtype, device=self._device).permute(0, 3, 1, 2)
        c = torch.zeros(shape, dtype=torch.float32, device=self._device).permute(0, 3, 1, 2)
        outputs = []
        for features in self._features:
            h, c = self._step(features, h, c, weights, self._attention_scale)
            outputs.append(h)
        # (time, batch, filters, height, width) -> (batch, time, height, width, filters)
        return torch.stack(outputs).permute(1, 0, 3, 4, 2)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def _channels_first(weight: Any) -> Any:
    """A copy as `(out, in, rows, columns)` of `(rows, columns, in, out)`; a bias stays."""
    if weight.ndim == 1:
        return weight.clone()
    # (rows, columns, in, out) -> (out, rows, columns, in) in memory
    return weight.permute(3, 0, 1, 2).contiguous().permute(0, 3, 1, 2)
