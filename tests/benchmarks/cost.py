"""What a recipe needs on GPUs, in the header of its config: memory, images/s, hours and money.

    python -m tests.benchmarks.cost [--price 3]

Reads what `tests.benchmarks.gpu`, `memory` and `scaling` have written and rewrites one line of each config in configs/:
hours are the training images of all epochs over the measured images/s, on 8 GPUs with the measured efficiency of
scaling, and the price is that of one GPU's hour. What was not measured, the line says so. A test compares the lines.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from project.arguments import read_config
from tests.benchmarks import REPOSITORY, RESULTS

IMAGES = {"Digits": 1438, "MNIST": 60_000, "CIFAR10": 50_000, "CIFAR100": 50_000, "ImageNet": 1_281_167}
LINE = re.compile(r"^# On GPUs: .*$", re.MULTILINE)
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


def read(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """What a benchmark has found, if that was on a GPU."""
    path = folder / f"{name}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if (found.get("measured") or {}).get("gpu") else {}


def line(config: Path, price: float, folder: Path = RESULTS) -> str:
    """The header's line of a config."""
    speed = read("gpu", folder).get("experiments", {}).get(config.stem)
    if speed is None:
        return "# On GPUs: memory, images/s, hours and cost not measured"
    content = read_config(config)
    data = content["data"]
    held_out = data["init_args"].get("val_size", 0.1)
    images = IMAGES[data["class_path"]]
    trained = images * (1 - held_out) if held_out < 1 else images - held_out
    rate = speed.get("real_images_per_s", speed["fit_images_per_s"])  # of its own images, if they were at hand
    hours = trained * content["trainer"]["max_epochs"] / rate / 3600
    parts = [f"{rate:,.0f} images/s", f"{hours:.2g} h (${hours * price:,.0f}) on 1"]
    if memory := read("memory", folder).get("experiments", {}).get(config.stem):
        parts.insert(0, f"{memory['fit_mb'] / 1000:.1f} GB")
    efficiency = read("scaling", folder).get("efficiency_on_8")
    parts.append(
        f"{hours / 8 / efficiency:.2g} h (${hours / efficiency * price:,.0f}) on 8" if efficiency else "8 not measured"
    )
    [name, *_] = read("gpu", folder)["measured"]["gpu"]
    return f"# On GPUs: {name}: {', '.join(parts)}, at ${price:g} an hour each"


def rewritten(text: str, new: str) -> str:
    """A config with the line in its header."""
    if LINE.search(text):
        return LINE.sub(lambda _: new, text)
    header = [row for row in text.splitlines() if row.startswith("#")]
    end = len("\n".join(header))
    return f"{text[:end]}\n{new}{text[end:]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--price", type=float, default=3.0, help="dollars of an hour of one GPU")
    options = parser.parse_args()
    for config in CONFIGS:
        config.write_text(rewritten(config.read_text(), line(config, options.price)))
        print(f"{config.stem:24} {line(config, options.price)[2:]}")
