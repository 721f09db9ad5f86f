"""Adapts a config to a machine that lacks what it asks for, and says what was changed.

A run's config.yaml keeps what was asked for, because the run may go on elsewhere.
"""

import ctypes
import logging
import os
import shlex
import subprocess
import sys
import sysconfig
from typing import Any

import torch
from lightning.pytorch.accelerators import CPUAccelerator

from project.data import ImageDataModule
from project.models import Architecture
from project.run.jobs import launcher
from project.run.processor import bfloat16_unit

log = logging.getLogger(__name__)

# Precisions in which a CPU computes in bfloat16: Lightning takes it for float16 too.
HALF = ("bf16-mixed", "16-mixed", "bf16", "16")
# Values of ONEDNN_MAX_CPU_ISA for which oneDNN does not use a processor's instructions for
# bfloat16.
ISAS_WITHOUT_BFLOAT16 = (
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)
# Options of mallopt(3): how many blocks are the system's own, and how much free memory goes back.
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1
# What PyTorch's compiler for CPUs includes in all that it writes.
HEADERS = "#include <Python.h>\n#include <vector>\n"


def adapt(config: dict[str, Any], model: Architecture, training: bool) -> dict[str, Any]:
    """Replace what would be slow or fail on a CPU, and log each change on one line.

    Args:
        config: The Trainer's arguments; ``precision`` may change.
        model: Its loss may be left uncompiled.
        training: Whether the command trains; otherwise nothing is compiled.

    Returns:
        The new values by their keys of the config.
    """
    changes: dict[str, Any] = {}
    if not runs_on_cpu(config["accelerator"]):
        return changes
    keep_freed_memory()
    if str(config["precision"]) in HALF and emulates_bfloat16():
        why = "this CPU only emulates bfloat16, which is slower"
        changes |= changed("trainer.precision", config["precision"], "32-true", why)
        config["precision"] = "32-true"
    if training and getattr(model, "compile_loss", False) and (why := why_not_compiled()):
        changes |= changed("model.compile", True, False, why)
        model.compile_loss = False
    return changes


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensors.

    glibc gives blocks above 32 MB back to the system, which fills each new one with zeros: a fifth
    of the time of a training step with large activations (`tests.benchmarks.kept_memory`). The
    process then holds a tenth more memory. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def adapt_workers(data: ImageDataModule, devices: int) -> dict[str, Any]:
    """Lower the number of workers to the cores that each of ``devices`` has here, and log it.

    Returns:
        The new value by its key of the config, if there is one.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if launcher() != "srun":  # which gives each process cores of its own
        cores = max(cores // devices, 1)
    if data.num_workers <= cores:
        return {}
    change = changed(
        "data.num_workers", data.num_workers, cores, f"a process has {cores} core(s) here"
    )
    data.num_workers = cores
    return change


def changed(key: str, old: Any, new: Any, why: str) -> dict[str, Any]:
    """Log a change of the config, and give it."""
    old_text, new_text = (str(value).lower() for value in (old, new))
    log.info(
        f"adapted to this machine: --{key} {new_text} in place of {old_text}, because {why} "
        f"(--adapt_to_machine false keeps {old_text})"
    )
    return {key: new}


def runs_on_cpu(accelerator: Any) -> bool:
    """Whether a Trainer with this argument ``accelerator`` computes on the CPU."""
    if accelerator == "auto":
        return not torch.cuda.is_available() and not torch.backends.mps.is_available()
    return accelerator == "cpu" or isinstance(accelerator, CPUAccelerator)


def emulates_bfloat16() -> bool:
    """Whether this CPU lacks bfloat16 instructions, or oneDNN was told not to use them."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if allowed.upper() in ISAS_WITHOUT_BFLOAT16:
        return True
    # PyTorch has no public name for these, and may rename them.
    checks = [
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    ]
    if any(check() for check in checks if check):
        return False
    return bfloat16_unit() is None


def why_not_compiled() -> str:
    """Why code from ``torch.compile`` would not compile on this CPU; empty if it would."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    folders = {sysconfig.get_path("include"), sysconfig.get_path("include", scheme="posix_prefix")}
    command = [
        *shlex.split(compiler),
        *(f"-I{folder}" for folder in folders),
        "-fsyntax-only",
        "-x",
        "c++",
        "-",
    ]
    try:
        done = subprocess.run(command, input=HEADERS, capture_output=True, text=True)
    except OSError as error:
        return f"there is no C++ compiler {compiler} ({error.strerror})"
    errors = [line for line in done.stderr.splitlines() if "error" in line] or ["it fails"]
    return (
        f"the C++ compiler {compiler} cannot use Python's headers ({errors[0].strip()})"
        if done.returncode
        else ""
    )
