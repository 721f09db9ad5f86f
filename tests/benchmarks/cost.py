"""What a recipe needs on GPUs, in the header of its config: memory, images/s, hours and money.

    python -m tests.benchmarks.cost [--price 3]

Reads what `tests.benchmarks.gpu`, `memory` and `scaling` have written and rewrites one line of each
config in configs/: hours are the training images of all epochs over the measured images/s, on 8
GPUs with the measured efficiency of scaling, and the price is that of one GPU's hour. What was not
measured of a config, at its own batch and size of images, the line says so. A test compares the
lines.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from project.cli.config_files import read_config
from tests.benchmarks import REPOSITORY, RESULTS

IMAGES = {
    "Digits": 1438,
    "MNIST": 60_000,
    "CIFAR10": 50_000,
    "CIFAR100": 50_000,
    "ImageNet": 1_281_167,
}
LINE = re.compile(r"^# On GPUs: .*$", re.MULTILINE)
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


def read(name: str, config: Path, folder: Path = RESULTS) -> dict[str, Any]:
    """What a benchmark has found of a config as it is, if that was on a GPU."""
    path = folder / f"{name}.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    found = content.get("experiments", {}).get(config.stem, {})
    data = read_config(config)["data"]
    whole = found.get("batch") == data["init_args"]["batch_size"] and (
        data["class_path"] != "ImageNet" or found["side"] == 224
    )
    return {**found, **content["measured"]} if whole and content["measured"]["gpu"] else {}


def short(number: float) -> str:
    """Two digits at least."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def line(config: Path, price: float, folder: Path = RESULTS) -> str:
    """The header's line of a config."""
    speed = read("gpu", config, folder)
    if not speed:
        return "# On GPUs: memory, images/s, hours and cost not measured"
    content = read_config(config)
    data = content["data"]
    held_out = data["init_args"].get("val_size", 0.1)
    images = IMAGES[data["class_path"]]
    trained = images * (1 - held_out) if held_out < 1 else images - held_out
    rate = speed.get("real_images_per_s", speed["fit_images_per_s"])
    hours = trained * content["trainer"]["max_epochs"] / rate / 3600
    how = ["--model.compile true"] * speed["compiled"] + ["random images"] * (
        "real_images_per_s" not in speed
    )
    parts = [*how, f"{rate:,.0f} images/s", f"{short(hours)} h (${short(hours * price)}) on 1"]
    if memory := read("memory", config, folder):
        parts.insert(len(how), f"{memory['fit_mb'] / 1000:.1f} GB")
    efficiency = read("scaling", config, folder).get("efficiency_on_8")
    parts.append(
        f"{short(hours / 8 / efficiency)} h (${short(hours / efficiency * price)}) on 8"
        if efficiency
        else "8 not measured"
    )
    return f"# On GPUs: {speed['gpu'][0]}: {', '.join(parts)}, at ${price:g} an hour each"


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
