"""Hours and dollars of each recipe on one GPU, from the images per second that `gpu` has measured.

    python -m tests.benchmarks.cost [--price 3]

Prints a line for each recipe in the results of `tests.benchmarks.gpu`, for configs/README.md: the
training images of all epochs over the images/s, and the price of so many hours.
"""

import argparse
import json
import sys
from typing import Any

from tests.benchmarks import RESULTS
from tests.benchmarks.recipe import merged

IMAGES = {"CIFAR10": 50_000, "CIFAR100": 50_000, "ImageNet": 1_281_167}


def hours(config: dict[str, Any], images_per_s: float) -> float:
    """Hours that the training of a config takes."""
    images = IMAGES[config["data"]["class_path"].rpartition(".")[2]]
    held_out = config["data"]["init_args"]["val_size"]
    images -= held_out if held_out >= 1 else images * held_out
    return images * config["trainer"]["max_epochs"] / images_per_s / 3600


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cost", description=__doc__)
    parser.add_argument("--price", type=float, default=3.0, help="dollars of an hour of one GPU")
    price = parser.parse_args().price
    content = json.loads((RESULTS / "gpu.json").read_text())
    if not content["measured"]["gpu"]:
        sys.exit("results/gpu.json was not measured on a GPU: run tests.benchmarks.gpu on one")
    measured = content["experiments"].items()
    for recipe, found in [(name, found) for name, found in measured if "failed" not in found]:
        rate = found.get("real_images_per_s", found["fit_images_per_s"])
        needed = hours(merged(recipe), rate)
        size = f"{rate:,.0f} images/s of {found['side']} pixels, batch {found['batch']}"
        print(f"{recipe}: {size}: {needed:.2g} h, ${needed * price:.2g}")
