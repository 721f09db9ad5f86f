"""Measurements that are too long for tests: each is run alone, names its reference, and writes one JSON file."""

import os
import platform
from importlib.metadata import version
from typing import Any


def versions() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    packages = {name: version(name) for name in ("torch", "lightning", "torchvision")}
    return {**packages, "python": platform.python_version(), "cpu": cpu(), "cores": os.cpu_count()}


def cpu() -> str:
    """The processor's name, or its architecture where the system does not tell."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
