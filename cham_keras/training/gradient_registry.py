"""What TensorFlow keeps of a fit: the gradient functions of its graphs, for ever.

A gradient that is written by hand (`layers.recurrence.with_gradient`) is entered in a registry
of the process when a graph is traced, and holds that graph and its constants; some 40 MB a fit of
a small model. Whoever trains many models in one process, as a search does, runs out of memory.
`fit` takes the entries out again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.framework import ops

_PREFIX = "CustomGradient-"


@contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Forgets the gradient functions that graphs within its block have registered.

    Those graphs can still be run, and traced anew; only no further graph can be made of their
    gradients.
    """
    # TensorFlow has no public way; where its inside changes, nothing is forgotten.
    entries = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    before = set(entries)
    try:
        yield
    finally:
        for name in set(entries) - before:
            if name.startswith(_PREFIX):
                del entries[name]
