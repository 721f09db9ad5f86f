"""The processor of this machine, as Linux describes it."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Flags of processors that compute in bfloat16, the fastest first, and the names of what they mean.
BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "bf16": "BF16"}


def cpuinfo() -> dict[str, str]:
    """Name and value of each line about a processor; empty where the system has no such file."""
    if not CPUINFO.exists():
        return {}
    lines = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def bfloat16_unit() -> str | None:
    """The fastest instructions of this processor for bfloat16; None if the system names none."""
    fields = cpuinfo()
    flags = fields.get("flags", fields.get("Features", "")).split()  # x86, Arm
    return next((unit for flag, unit in BFLOAT16.items() if flag in flags), None)


def processor_name() -> str:
    """The model or else the architecture, with the instructions for bfloat16 if there are any."""
    name = cpuinfo().get("model name") or platform.processor() or platform.machine()
    unit = bfloat16_unit()
    return f"{name} with {unit}" if unit else name
