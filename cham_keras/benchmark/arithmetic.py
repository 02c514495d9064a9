"""How much arithmetic a system cannot do without.

Settings come in, operations go out; `run_benchmark` divides them by the measured
seconds. Counted are the products with the large kernels, taps inside the map
only, whatever a system computes beyond that.
"""

import dataclasses

from cham_keras.benchmark.problem import SKIP
from cham_keras.benchmark.settings import BenchmarkSettings, SystemName

#: A kernel on features: forward and the gradient to the weights. The features need none.
PASSES_OF_INPUT_KERNEL = 2
#: A kernel on states: also the gradient to what it was applied to.
PASSES_OF_RECURRENT_KERNEL = 3


@dataclasses.dataclass(frozen=True)
class KernelWork:
    """The products with one kernel.

    Attributes:
        kernel: name of the kernel.
        multiply_adds: in one forward pass over one frame.
        train_passes: passes of the same size in a train step.
        frames: of a clip, on which the kernel is applied.
    """

    kernel: str
    multiply_adds: int
    train_passes: int
    frames: int


def pairs(height: int, width: int, kernel_size: int) -> int:
    """Number of pairs of an output position and a tap of the kernel that meets the map.

    Example:

    >>> pairs(7, 7, 3)
    361
    """
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)

    def along(size: int) -> int:
        return sum(max(0, size - abs(offset)) for offset in reach)

    return along(height) * along(width)


def kernel_works(settings: BenchmarkSettings, system: SystemName) -> list[KernelWork]:
    """The products that a system needs, one entry a kernel."""
    positions = settings.height * settings.width
    taps = pairs(settings.height, settings.width, settings.kernel_size)
    channels, filters, steps = settings.channels, settings.filters, settings.steps
    gates = 4 * filters
    on_features, on_states = PASSES_OF_INPUT_KERNEL, PASSES_OF_RECURRENT_KERNEL
    works = [
        KernelWork("kernel", taps * channels * gates, on_features, steps),
        KernelWork("recurrent_kernel", taps * filters * gates, on_states, steps),
    ]
    if system != "conv_lstm_2d":
        works += [
            KernelWork(
                "attention_input_kernel", positions * channels * filters, on_features, steps
            ),
            KernelWork(
                "attention_recurrent_kernel", positions * filters * filters, on_states, steps
            ),
        ]
    if system == "cham":
        # What the second layer is applied to is a state of the first.
        of_second = (taps * filters * gates, on_states, steps // SKIP)
        works += [
            KernelWork("second kernel", *of_second),
            KernelWork("second recurrent_kernel", *of_second),
        ]
    return works


def useful_operations(settings: BenchmarkSettings, system: SystemName) -> dict[str, int]:
    """Operations of a whole batch; a multiply-add is two.

    Args:
        settings: the sizes.
        system: what is measured.

    Returns:
        operations of one `train` step and of one `inference`.

    Example:

    >>> small = BenchmarkSettings(batch=1, steps=1, height=1, width=1, channels=3, filters=2)
    >>> useful_operations(small, "conv_lstm_2d")
    {'train': 192, 'inference': 80}
    """
    works = kernel_works(settings, system)
    frames = [2 * settings.batch * work.frames * work.multiply_adds for work in works]
    return {
        "train": sum(f * work.train_passes for f, work in zip(frames, works, strict=True)),
        "inference": sum(frames),
    }
