"""Peak memory of a recipe's training, against a hand-written loop, each in a process of its own.

    python -m tests.benchmarks.memory [--recipes configs/imagenet_resnet50.yaml ...]

A process trains 20 steps of a recipe's network, batch and precision on random images by `fit`, or
torchvision's network by hand. On a GPU the figure is what PyTorch's allocator held at most; without
one it is the largest resident set of the process beyond that of one that only imports. `--device
cpu --side 64 --batch 8 --classes 10` tries it without a GPU.
"""

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch

from tests.benchmarks import REPOSITORY, measure_each, new_parser
from tests.benchmarks.recipe import Recipe, add_options

STEPS = 20


class Few(L.Callback):
    """Ends `fit` soon."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        trainer.should_stop = trainer.global_step >= STEPS


def train(kind: str, recipe: Recipe) -> float:
    """Megabytes that this process needs at most to train by ``fit``, by ``hand``, or not at all."""
    if kind == "fit":
        recipe.fit(Few())
    elif kind == "hand":
        with tempfile.TemporaryDirectory() as folder:
            recipe.by_hand(recipe.data(), Path(folder)).train(STEPS)
    if recipe.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def peak(kind: str, recipe: str) -> float:
    """Megabytes of a process with the same options as this one."""
    words = [*sys.argv[1:], "--recipes", recipe, "--child", kind]
    command = [sys.executable, "-m", "tests.benchmarks.memory", *words]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.rpartition("PEAK ")[2])


def measure(name: str, options: Any) -> dict[str, Any]:
    """Figures of a recipe."""
    imports = peak("imports", name) if options.device == "cpu" else 0.0
    fit, hand = peak("fit", name) - imports, peak("hand", name) - imports
    found = {"fit_mb": round(fit), "hand_mb": round(hand), "ratio": round(fit / hand, 3)}
    recipe = Recipe.of(name, options)
    return {"batch": recipe.batch, "side": recipe.shape[1], "compiled": recipe.compile, **found}


if __name__ == "__main__":
    parser = new_parser("memory", __doc__)
    add_options(parser)
    parser.add_argument(
        "--child",
        choices=("fit", "hand", "imports"),
        help="train in this process, and say its peak",
    )
    options = parser.parse_args()
    if options.child:
        print("PEAK", train(options.child, Recipe.of(options.recipes[0], options)))
    else:
        measure_each(options.recipes, partial(measure, options=options), options.out)
