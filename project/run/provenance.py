"""Provenance and outcome of a run: environment.json and tests.jsonl."""

import json
import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from project.errors import writing
from project.run.folder import Run, now, write_atomically
from project.run.processor import processor_name


def describe_environment(seed: int) -> dict[str, Any]:
    """Everything that a run depends on besides its config."""
    import torch

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "time": now(),
        "command": shlex.join(sys.orig_argv),
        "seed": seed,
        "host": platform.node(),
        "platform": platform.platform(),
        "device": cuda or [f"{processor_name()}, {os.cpu_count()} CPUs"],
        "python": platform.python_version(),
        "git": git_state(),
        "packages": packages(),
    }


@cache
def packages() -> dict[str, str]:
    """Versions of the installed packages by name, which stay as they are while a process runs."""
    return dict(sorted((d.name, d.version) for d in distributions()))


def git_state() -> dict[str, str] | None:
    """Commit and uncommitted changes of this code; None outside a git checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout

    try:
        return {
            "commit": git("rev-parse", "HEAD").strip(),
            "status": git("status", "--porcelain"),
            "diff": git("diff", "HEAD"),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def record_environment(
    run: Run, seed: int, adapted: dict[str, Any], parameters: int
) -> dict[str, Any]:
    """Write environment.json; a run that resumes keeps the earlier entries under ``before``.

    Args:
        run: The run.
        seed: Seed of the training.
        adapted: Values that differ from the config on this machine, by their keys.
        parameters: Number of the model's parameters.
    """
    before = (
        json.loads(run.environment.read_text(encoding="utf-8"))
        if run.environment.exists()
        else None
    )
    history = [*before.pop("before"), before] if before else []
    model = {"parameters": parameters, "adapted": adapted}
    environment = {**describe_environment(seed), **model, "before": history}
    write_atomically(run.environment, json.dumps(environment, indent=2))
    return environment


def record_outcome(run: Run, steps: int, best: dict[str, Any]) -> None:
    """Add the trained steps, and step and validation metrics of best.ckpt, to environment.json."""
    environment = json.loads(run.environment.read_text(encoding="utf-8"))
    write_atomically(
        run.environment, json.dumps({**environment, "steps": steps, "best": best}, indent=2)
    )


def record_test(
    run: Run, checkpoint: Path, step: int, complete: bool, result: dict[str, float]
) -> int:
    """Append an evaluation on the test set to tests.jsonl.

    Args:
        run: The run.
        checkpoint: File of the checkpoint that was tested.
        step: Optimiser steps before the checkpoint was saved.
        complete: Whether all of the test set was evaluated.
        result: Metrics by name.

    Returns:
        The number of entries in the file.
    """
    known = {
        "time": now(),
        "checkpoint": str(checkpoint),
        "step": step,
        "split": "test",
        "complete": complete,
    }
    line = {**known, **result, "commit": (git_state() or {}).get("commit")}
    text = run.tests.read_text(encoding="utf-8") if run.tests.exists() else ""
    cut_off = text and not text.endswith("\n")  # by a full disk
    with writing(run.tests), run.tests.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_off else "") + json.dumps(line) + "\n")
    return len(text.splitlines()) + 1
