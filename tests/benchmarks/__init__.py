"""Measurements that are too long for tests: each is run alone, names its reference, and writes one JSON file."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from project.run.processor import processor_name

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
    from project.cli.main import run_command
    from project.cli.startup import quieten

    quieten()
    run_command(words, observers)


def measure_each(
    recipes: Iterable[str], measure: Callable[[str], dict[str, Any]], out: Path
) -> None:
    """Measure recipe after recipe; one that fails, for want of memory or images, leaves the others."""
    experiments: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        try:
            experiments[recipe] = measure(recipe)
        except Exception as error:
            traceback.print_exc()
            experiments[recipe] = {"failed": type(error).__name__}
        print(recipe, json.dumps(experiments[recipe]), flush=True)
        write({"experiments": experiments}, out)
    sys.exit(int(any("failed" in found for found in experiments.values())))


def conclude(result: dict[str, Any], out: Path) -> None:
    """Print figures and write them."""
    for key, value in result.items():
        print(f"{key:40} {value}")
    write(result, out)


def write(result: dict[str, Any], out: Path) -> None:
    """Write figures with what they depend on."""
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
        "cpu": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": gpus or None,
    }


def commit() -> str | None:
    """The commit of the code; None outside a checkout. It is dirty if more than figures has changed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True
        ).stdout.strip()

    changed = git(
        "status", "--porcelain", "--", "project", "tests", "configs", ":!tests/benchmarks/results"
    )
    head = git("rev-parse", "HEAD")
    return f"{head}-dirty" if head and changed else head or None
