"""Convolutional hierarchical attention models for action recognition, in Keras.

Importing this package registers every layer, loss and metric, so that a saved
`.keras` file loads. It needs Keras and nothing else; the parts that read
videos, write shards or draw pictures are imported by name:

    import cham_keras
    from cham_keras import data, training
"""

import sys
from pathlib import PurePath

if PurePath(sys.argv[0]).name == "cham":
    # The console command: this is the last moment before Keras is imported.
    from cham_keras.cli.quiet_start import import_backend_quietly

    import_backend_quietly()

from cham_keras import layers, losses, metrics, models

__version__ = "0.1.0"

__all__ = ["__version__", "layers", "losses", "metrics", "models"]
