"""What keeping freed memory gains on a CPU: images/s of `fit` with it and without it.

    python -m tests.benchmarks.kept_memory [--recipes configs/cifar10_fast.yaml] [--turns 3]

Each turn trains a recipe on random images in two processes, once with `--adapt_to_machine` true and
once false, both in float32 unless `--precision` says otherwise. The gain is the median over the
turns of the ratio of images/s; the memory is the largest resident set.
"""

import json
import resource
import statistics
import subprocess
import sys
from typing import Any

from tests.benchmarks import REPOSITORY, measure_each, new_parser
from tests.benchmarks.recipe import Rate, Recipe, add_options


def train(keeps: str, options: Any) -> dict[str, float]:
    """Images per second and megabytes of this process."""
    rate = Rate(warmup=3, steps=options.steps)
    flags = [f"--adapt_to_machine={keeps}", f"--trainer.precision={options.precision}"]
    Recipe.of(options.recipes[0], options).fit(rate, flags=flags)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"images_per_s": rate.images_per_s, "mb": peak}


def trained(keeps: str, recipe: str) -> dict[str, float]:
    """What a process with the same options as this one finds."""
    words = [*sys.argv[1:], "--recipes", recipe, "--child", keeps]
    command = [sys.executable, "-m", "tests.benchmarks.kept_memory", *words]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.rpartition("FOUND ")[2])
    return found


def measure(recipe: str, options: Any) -> dict[str, Any]:
    """Figures of a recipe."""
    turns = [
        {keeps: trained(keeps, recipe) for keeps in ("false", "true")} for _ in range(options.turns)
    ]
    found: dict[str, Any] = {"batch": Recipe.of(recipe, options).batch}
    for keeps, name in (("false", "returned"), ("true", "kept")):
        for key in ("images_per_s", "mb"):
            found[f"{name}_{key}"] = round(statistics.median(turn[keeps][key] for turn in turns), 1)
    gains = [turn["true"]["images_per_s"] / turn["false"]["images_per_s"] for turn in turns]
    return {**found, "gain": round(statistics.median(gains), 2)}


if __name__ == "__main__":
    parser = new_parser("kept_memory", __doc__)
    add_options(parser)
    parser.set_defaults(recipes=["configs/cifar10_fast.yaml"], device="cpu", no_compile=True)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", choices=("true", "false"), help="train in this process")
    options = parser.parse_args()
    if options.child:
        print("FOUND", json.dumps(train(options.child, options)))
    else:
        measure_each(options.recipes, lambda recipe: measure(recipe, options), options.out)
