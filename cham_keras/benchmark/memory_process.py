"""The process that measures the memory of one system; started by `memory`."""

import json
import sys
from typing import Any

from cham_keras.benchmark.backend import current_backend
from cham_keras.benchmark.problem import make_problem
from cham_keras.benchmark.settings import BenchmarkSettings, SystemName
from cham_keras.benchmark.systems import LeftOut, build_system
from cham_keras.settings import settings_from_dict

MIB = 2**20


def memory_of(name: SystemName, settings: BenchmarkSettings) -> dict[str, Any]:
    """Builds a system, runs it once each way, and says what that took.

    Args:
        name: the system.
        settings: the sizes.

    Returns:
        see `memory.measure_memory`.
    """
    current_backend().use_devices_modestly()
    problem = make_problem(settings)
    features_mib = problem.features.nbytes / MIB
    try:
        system = build_system(name, settings, problem)
    except LeftOut as reason:
        return {"left_out": str(reason)}
    del problem
    system.prepare()
    system.reset_peak_memory()
    built, _ = system.memory_bytes()
    system.inference()
    _, after_inference = system.memory_bytes()
    # The train step needs more than inference, so the peak is its own.
    system.train_step()
    _, after_train = system.memory_bytes()
    return {
        "built_mib": built / MIB,
        "inference_mib": (after_inference - built) / MIB,
        "train_mib": (after_train - built) / MIB,
        "weights_mib": system.num_weights * 4 / MIB,
        "features_mib": features_mib,
    }


if __name__ == "__main__":
    request = json.load(sys.stdin)
    asked = settings_from_dict(BenchmarkSettings, request["settings"], source="standard input")
    print(json.dumps(memory_of(request["system"], asked)))
