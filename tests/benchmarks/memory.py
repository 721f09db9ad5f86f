"""Peak memory of a recipe's training, against a hand-written loop, each in a process of its own.

    python -m tests.benchmarks.memory [--configs configs/imagenet_*.yaml ...]

A process trains 20 steps of a config's network, batch and precision on random images by `fit`, or torchvision's network
by hand. On a GPU the figure is what PyTorch's allocator held at most; without one it is the largest resident set of the
process, and what importing Lightning takes is printed too. `--device cpu --side 64 --batch 8 --classes 10` tries it
without a GPU.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning as L
import torch

from tests.benchmarks import REPOSITORY, conclude, fit, new_parser
from tests.benchmarks.recipe import Recipe, add_options

STEPS = 20


class Few(L.Callback):
    """Ends `fit` soon."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        trainer.should_stop = trainer.global_step >= STEPS


def train(kind: str, recipe: Recipe) -> float:
    """Megabytes that this process needs at most to train by ``fit``, by ``hand``, or not at all."""
    if kind == "fit":
        with tempfile.TemporaryDirectory() as folder:
            fit(recipe.words(Path(folder)), Few())
    elif kind == "hand":
        recipe.by_hand(recipe.data()).train(STEPS)
    if recipe.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(words: list[str], config: Path, device: str) -> dict[str, Any]:
    """Figures of a config, by processes with the same options as this one."""
    found: dict[str, Any] = {}
    for kind in ("fit", "hand") if device == "cuda" else ("fit", "hand", "imports"):
        command = [sys.executable, "-m", "tests.benchmarks.memory", *words, "--configs", str(config), "--child", kind]
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
        found[f"{kind}_mb"] = round(float(done.stdout.rpartition("PEAK ")[2]))
    return {**found, "ratio": round(found["fit_mb"] / found["hand_mb"], 3)}


if __name__ == "__main__":
    parser = new_parser("memory", __doc__)
    add_options(parser)
    parser.add_argument("--child", choices=("fit", "hand", "imports"), help="train in this process, and say its peak")
    options = parser.parse_args()
    if options.child:
        print("PEAK", train(options.child, Recipe.of(options.configs[0], options)))
    else:
        experiments = {}
        for config in options.configs:
            experiments[config.stem] = measure(sys.argv[1:], config.absolute(), options.device)
            print(config.stem, json.dumps(experiments[config.stem]), flush=True)
        conclude({"experiments": experiments}, options.out)
