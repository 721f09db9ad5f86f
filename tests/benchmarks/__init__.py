"""Measurements that are too long for tests: each is run alone, names its reference, and writes one JSON file."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"


def new_parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser of a benchmark's options, with ``--out``."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="the JSON file")
    return parser


def fit(words: list[str], *observers: Any) -> None:
    """Run a command line as ``python -m project`` does, with callbacks that look on."""
    from project.arguments import read_arguments
    from project.cli import CLI
    from project.startup import quieten, spare_driver_calls

    quieten()
    spare_driver_calls()
    CLI(read_arguments(words), observers)


def conclude(result: dict[str, Any], out: Path) -> None:
    """Print figures and write them, with what they depend on."""
    for key, value in result.items():
        print(f"{key:40} {value}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**result, "measured": circumstances()}, indent=2) + "\n")


def circumstances() -> dict[str, Any]:
    """What figures depend on besides the code: the command, commit, versions and machine."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "commit": commit(),
        **{name: version(name) for name in ("torch", "lightning", "torchvision")},
        "python": platform.python_version(),
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": gpus or None,
    }


def commit() -> str | None:
    """Of the code; None where that is in no checkout."""
    words = ["git", "-C", str(REPOSITORY), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.strip() or None


def cpu() -> str:
    """The processor's name, or its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
