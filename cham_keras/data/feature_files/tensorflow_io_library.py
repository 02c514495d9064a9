"""Whether the library of tensorflow-io loads here, found out before it is used.

Its last release, 0.37.1, was built for TensorFlow 2.16 and 2.17. pip installs it beside any
other version too, `import tensorflow_io` then only warns, and the first call fails. So the
shared object is loaded by itself first. `hdf5_reader` asks.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

import tensorflow as tf

#: What installs the versions that work together.
INSTALL_COMMAND = 'pip install "cham-keras[tfio]"'

_LIBRARY = Path("python", "ops", "libtensorflow_io.so")


def why_tensorflow_io_cannot_be_used() -> str | None:
    """Loads tensorflow-io's shared object.

    Returns:
        None where it loads; else a sentence that says why not and what to install.
    """
    spec = importlib.util.find_spec("tensorflow_io")
    if spec is None or spec.origin is None:
        return (
            f"tensorflow-io is not installed beside TensorFlow {tf.__version__}; install the pair "
            f"of versions that works with `{INSTALL_COMMAND}`, or read with `--reader h5py`."
        )
    try:
        tf.load_op_library(str(Path(spec.origin).parent / _LIBRARY))
    # NotFoundError: a symbol or the file is missing. The others: it is damaged, or of another
    # kind of machine.
    except (tf.errors.OpError, OSError, RuntimeError):
        return (
            f"tensorflow-io {_version()} does not load on TensorFlow {tf.__version__}; install the "
            f"pair of versions that works with `{INSTALL_COMMAND}`, or read with `--reader h5py`."
        )
    return None


def _version() -> str:
    try:
        return importlib.metadata.version("tensorflow-io")
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
