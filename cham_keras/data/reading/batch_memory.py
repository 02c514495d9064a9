"""Memory of batches, used again when the batch is gone.

Comes in: shapes. Goes out: arrays for TensorFlow to take over without a copy. Fresh
memory costs more than filling it: the system hands it out page by page, zeroed.
`frame_reader` fills the arrays.
"""

import math
import weakref
from collections import deque

import numpy as np

# TensorFlow takes over memory that begins at such an address, and copies what does not.
_ALIGNMENT_BYTES = 64

# As many are kept for later over all data sets; the oldest goes first. Appending and
# taking are atomic, so this needs no lock, which the end of an array could meet again.
_unused: deque[np.ndarray] = deque(maxlen=2)


def batch_array(shape: tuple[int, ...]) -> np.ndarray:
    """An array with any content, for a batch.

    Its memory is used again as soon as the array itself is gone, so do not keep a part of
    it any longer than the whole. TensorFlow keeps the array as long as its tensor.

    Args:
        shape: shape of the array.

    Returns:
        an array of this shape, float32, in C order.
    """
    num_bytes = math.prod(shape) * np.dtype(np.float32).itemsize
    memory = _memory(num_bytes + _ALIGNMENT_BYTES)
    begin = -memory.ctypes.data % _ALIGNMENT_BYTES
    array = memory[begin : begin + num_bytes].view(np.float32).reshape(shape)
    # Views of the array refer to `memory`, not to the array: hence the warning above.
    weakref.finalize(array, _unused.append, memory).atexit = False
    return array


def _memory(num_bytes: int) -> np.ndarray:
    for _ in range(len(_unused)):
        try:
            memory = _unused.popleft()
        except IndexError:  # another thread was quicker
            break
        if memory.nbytes >= num_bytes:
            return memory
    return np.empty(num_bytes, np.uint8)
