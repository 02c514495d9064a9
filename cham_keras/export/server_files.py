"""The files that a model server is started with, beside the versions of a model.

Comes in: a model's name and the batch sizes that its exports were warmed up for. Goes out:
`models.config`, `batching_params.pbtxt` and `monitoring.config`, in the text form of the
server's own protocol buffers. `saved_model` writes them when a version is published.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

from cham_keras.files import replacing_file

MODELS_FILE = "models.config"
BATCHING_FILE = "batching_params.pbtxt"
MONITORING_FILE = "monitoring.config"

#: Sizes of the batches that a server makes of requests, if nothing else is asked for.
DEFAULT_BATCH_SIZES = (1, 2, 4, 8)

#: Most of them: each is a warm-up record for every signature, and a server takes 1,000 in all.
_MOST_BATCH_SIZES = 100

_BATCH_TIMEOUT_MICROSECONDS = 5000
_MOST_WAITING_BATCHES = 100

_MONITORING = """\
# Written by `cham export`. For --monitoring_config_file; Prometheus reads the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def check_batch_sizes(batch_sizes: Sequence[int]) -> tuple[int, ...]:
    """Refuses batch sizes that a server does not take.

    Raises:
        ValueError: they do not ascend, are below 1, or are none or too many.
    """
    sizes = tuple(batch_sizes)
    ascending = all(one < following for one, following in itertools.pairwise(sizes))
    if not 1 <= len(sizes) <= _MOST_BATCH_SIZES or sizes[0] < 1 or not ascending:
        raise ValueError(
            f"`batch_sizes` must be 1 to {_MOST_BATCH_SIZES} whole numbers above 0 that ascend. "
            f"Received: {' '.join(map(str, sizes)) or 'none'}."
        )
    return sizes


def write_server_files(base: Path, batch_sizes: Sequence[int], num_threads: int) -> None:
    """Writes the three files, each whole or not at all; older ones are replaced.

    Args:
        base: the folder above the versions; its name is the model's.
        batch_sizes: the sizes of batches, ascending.
        num_threads: threads that run batches.
    """
    name = base.absolute().name
    contents = {
        MODELS_FILE: _models(name),
        BATCHING_FILE: _batching(batch_sizes, num_threads),
        MONITORING_FILE: _MONITORING,
    }
    for file, content in contents.items():
        with replacing_file(base / file) as temporary:
            temporary.write_text(content)


def _models(name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return (
        "# Written by `cham export`. For --model_config_file, where this folder is mounted as\n"
        f"# /models/{name}.\n"
        "model_config_list {\n"
        "  config {\n"
        f'    name: "{quoted}"\n'
        f'    base_path: "/models/{quoted}"\n'
        '    model_platform: "tensorflow"\n'
        "  }\n"
        "}\n"
    )


def _batching(batch_sizes: Sequence[int], num_threads: int) -> str:
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in batch_sizes)
    return (
        "# Written by `cham export`. For --batching_parameters_file, with --enable_batching.\n"
        f"max_batch_size {{ value: {batch_sizes[-1]} }}\n"
        f"batch_timeout_micros {{ value: {_BATCH_TIMEOUT_MICROSECONDS} }}\n"
        f"max_enqueued_batches {{ value: {_MOST_WAITING_BATCHES} }}\n"
        f"num_batch_threads {{ value: {num_threads} }}\n"
        f"{sizes}"
        "# Clips of several lengths may go into one batch: each has its own in `lengths`.\n"
        "pad_variable_length_inputs: true\n"
    )
