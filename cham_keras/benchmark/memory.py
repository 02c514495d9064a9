"""Peak memory of each system, each in a process of its own.

The process is `memory_process`; it gets the settings and the system's name as
JSON on its standard input and prints what it found as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras

from cham_keras.benchmark.settings import BenchmarkSettings, SystemName
from cham_keras.settings import settings_to_dict

_MODULE = "cham_keras.benchmark.memory_process"


def measure_memory(
    settings: BenchmarkSettings, tick: Callable[[str], None]
) -> dict[SystemName, dict[str, Any]]:
    """Measures the peak memory of the systems of the settings.

    Args:
        settings: what to measure.
        tick: is told the name after each system.

    Returns:
        for each system `built_mib`, `inference_mib` and `train_mib` (the last two above
        the first), `weights_mib` and `features_mib`; or `left_out`, a sentence.
    """
    found = {}
    for name in settings.systems:
        found[name] = _in_own_process(name, settings)
        tick(name)
    return found


def _in_own_process(name: SystemName, settings: BenchmarkSettings) -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-m", _MODULE],
        input=json.dumps({"system": name, "settings": settings_to_dict(settings)}),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if process.returncode == 0:
        return json.loads(process.stdout.splitlines()[-1])
    last = [line for line in process.stderr.splitlines() if line.strip()][-1:]
    what = last[0].strip() if last else "no message"
    # A negative code is the signal that ended it: 9 where the memory was not enough.
    return {"left_out": f"Its process ended with code {process.returncode}: {what}"}
