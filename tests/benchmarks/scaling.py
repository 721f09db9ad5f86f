"""Images per second of `fit` on several devices against one, at the same global batch.

    python -m tests.benchmarks.scaling [--recipes configs/imagenet_resnet50.yaml] [--devices 1 2 4 8]

Each count of devices trains in processes of its own on images that need no reading, with the
recipe's precision, and weights shared by DDP: 1, 2, 4 and 8 as far as there are so many. The figure
is taken over 50 steps after 20 others. The efficiency is the speed over the count of
devices times that of one; without a GPU a device is a process with one thread, so that two of them
have twice the cores of one: `--device cpu --devices 1 2 --side 64 --batch 32 --classes 10
--no-compile`. On CPUs as many processes that know nothing of each other train their shares of the
batch too, at the same time: what they lose against one is the machine's (hyper-threads of one core,
caches, memory), and what DDP loses against them is the exchange of gradients and the waiting for
each other.
"""

import os
import shlex
import statistics
import subprocess
import sys
from functools import partial
from typing import Any

import torch

from tests.benchmarks import REPOSITORY, measure_each, new_parser
from tests.benchmarks.recipe import RECIPES, Rate, Recipe, add_options


def rate(recipe: str, devices: int, cpu: bool, batch: int, apart: bool = False) -> float:
    """Images per second on so many devices, in processes with the same options as this one.

    ``apart`` trains one device in each of so many processes, and adds up what they do.
    """
    each, count = (1, devices) if apart else (devices, 1)
    words = [*sys.argv[1:], "--recipes", recipe, "--child", str(each)]
    words += ["--batch", str(batch // count)]
    command = [sys.executable, "-m", "tests.benchmarks.scaling", *words]
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if cpu else {})}
    start = partial(subprocess.Popen, stdout=subprocess.PIPE, text=True)
    children = [start(command, cwd=REPOSITORY, env=environment) for _ in range(count)]
    said = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError(f"{shlex.join(command)} failed")
    return sum(float(text.rpartition("RATE ")[2].split()[0]) for text in said)


def measure(name: str, options: Any) -> dict[str, Any]:
    """Figures of a recipe."""
    recipe, cpu = Recipe.of(name, options), options.device == "cpu"
    first, *others = options.devices or [
        n for n in (1, 2, 4, 8) if n <= (2 if cpu else torch.cuda.device_count())
    ]
    turns, apart = [], []
    for _ in range(options.turns):
        turns.append({n: rate(name, n, cpu, recipe.batch) for n in (first, *others)})
        if cpu:
            apart.append({n: rate(name, n, cpu, recipe.batch, apart=True) for n in others})
    found: dict[str, Any] = {
        "batch": recipe.batch,
        "side": recipe.shape[1],
        "compiled": recipe.compile,
    }
    for n in (first, *others):
        found[f"images_per_s_on_{n}"] = round(statistics.median(turn[n] for turn in turns), 1)
    for n in others:
        efficiency = statistics.median(turn[n] / n / (turn[first] / first) for turn in turns)
        found[f"efficiency_on_{n}"] = round(efficiency, 3)
        if cpu:
            limit = statistics.median(
                alone[n] / n / (turn[first] / first)
                for alone, turn in zip(apart, turns, strict=True)
            )
            found[f"efficiency_of_{n}_apart"] = round(limit, 3)
    return {**found, "turns": options.turns}


if __name__ == "__main__":
    parser = new_parser("scaling", __doc__)
    add_options(parser)
    parser.set_defaults(recipes=RECIPES[:1])
    parser.add_argument("--devices", type=int, nargs="+", help="counts of them")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--child",
        type=int,
        help="train on so many devices in this process and those that it starts",
    )
    options = parser.parse_args()
    if options.child:
        flags = [
            f"--trainer.devices={options.child}",
            *(["--trainer.strategy=ddp"] if options.child > 1 else []),
        ]
        rate_of_all = Rate()
        Recipe.of(options.recipes[0], options).fit(rate_of_all, flags=flags)
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print("RATE", rate_of_all.images_per_s, flush=True)
    else:
        measure_each(options.recipes, partial(measure, options=options), options.out)
