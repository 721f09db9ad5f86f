"""Kill a run again and again, go on with it each time, and compare it with one that was left alone.

    python -m tests.kill_and_resume --kills 5 -- --config configs/digits.yaml --trainer.max_epochs 6

Every other kill comes while a checkpoint is written, the others at random moments after the
training has begun. The processes are real, and get SIGKILL. Weights, optimiser state and
metrics.csv must be equal bit for bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, find_run

PROJECT = [sys.executable, "-m", "project", "fit"]


def start(args: list[str], log: Path) -> subprocess.Popen:
    """A run in a process group of its own, so that a kill takes every process of it."""
    with log.open("a") as file:
        return subprocess.Popen([*PROJECT, *args], stdout=file, stderr=file, start_new_session=True)


def began(run_folder: Path, since: float) -> bool:
    """Whether a run has written a checkpoint since a moment."""
    return any(path.stat().st_mtime > since for path in run_folder.glob("*/checkpoints/last.ckpt"))


def kill_once(process: subprocess.Popen, folder: Path, while_writing: bool, longest: float) -> bool:
    """Kill at a random moment, or once a checkpoint is half written; False if the run had ended."""
    started = time.time()
    while process.poll() is None and not began(folder, started):
        time.sleep(0.002)
    deadline = time.time() + random.uniform(0, longest)
    while process.poll() is None and time.time() < deadline:
        time.sleep(0.001)
    while (
        while_writing
        and process.poll() is None
        and not list(folder.glob("*/checkpoints/last.*.part"))
    ):
        pass
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def differences(a: Run, b: Run) -> list[str]:
    """What two finished runs differ in."""
    left, right = (read_checkpoint(run.checkpoint("last")) for run in (a, b))
    keys = ("state_dict", "optimizer_states", "global_step", "epoch", "current_model_state")
    found = [key for key in keys if not equal(left.get(key), right.get(key))]
    best = [read_checkpoint(run.checkpoint("best")) for run in (a, b)]
    found += [] if equal(best[0]["state_dict"], best[1]["state_dict"]) else ["best.ckpt"]
    found += [str(path) for path in b.folder.rglob("*.part")]
    return found + ([] if a.metrics.read_bytes() == b.metrics.read_bytes() else ["metrics.csv"])


def equal(a: Any, b: Any) -> bool:
    """Whether two nests of plain values and tensors are the same bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument(
        "--longest",
        type=float,
        default=3.0,
        help="seconds from a run's first checkpoint to its kill",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/kill_and_resume"))
    parser.add_argument("args", nargs="*", help="of fit")
    options = parser.parse_args()
    random.seed(options.seed)
    os.environ.setdefault("WANDB_MODE", "disabled")
    folder, log = options.folder, options.folder / "log.txt"
    folder.mkdir(parents=True)
    common = [*options.args, f"--runs_dir={folder}"]
    if start([*common, "--experiment=whole"], log).wait():
        sys.exit(f"the uninterrupted run failed: see {log}")
    process, kills = start([*common, "--experiment=killed"], log), 0
    while kills < options.kills:
        if not kill_once(process, folder / "killed", kills % 2 == 0, options.longest):
            break
        kills += 1
        last = read_checkpoint(find_run(folder / "killed").checkpoint("last"))
        print(f"killed, last checkpoint at step {last['global_step']}", flush=True)
        process = start(["--run", str(folder / "killed")], log)
    if process.wait():
        sys.exit(f"the resumed run failed: see {log}")
    found = differences(find_run(folder / "whole"), find_run(folder / "killed"))
    print(f"{kills} kills; {'different: ' + ', '.join(found) if found else 'equal bit for bit'}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
