"""How much memory this process holds, and has held at most; how much the machine has."""

import os
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def physical_memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_bytes() -> int:
    """Memory of this process that lies in RAM now; its peak where the system tells no more."""
    return _from_status("VmRSS") if _STATUS.is_file() else _peak_of_usage()


def peak_resident_bytes() -> int:
    """The most that lay in RAM, since `reset_peak` where that is possible."""
    # getrusage counts what the parent held before it started this process, too.
    return _from_status("VmHWM") if _STATUS.is_file() else _peak_of_usage()


def reset_peak() -> None:
    """Begins a new peak, on Linux; elsewhere the peak is that of the process's whole life."""
    if _STATUS.is_file():
        Path("/proc/self/clear_refs").write_text("5")


def _from_status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024  # in kB
    raise OSError(f"{_STATUS} must have a line {name}. It has none on this system.")


def _peak_of_usage() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but on macOS
