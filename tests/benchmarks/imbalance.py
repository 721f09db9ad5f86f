"""Class weights, balanced sampling and focal loss, where one class has lost 95 % of its training images.

    python -m tests.benchmarks.imbalance --root DIR    # Imagenette: DIR/train/<class>/*, DIR/val/<class>/*

Each way is trained with each seed from the same config, and tested once on the whole test set. The reference is the
same training without any of them. The defaults take a part of the images, sized for half an hour on two cores.
"""

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

from project.cli.main import main as command
from project.cli.main import run_command
from tests.benchmarks import conclude, new_parser

WAYS = {
    "none": [],
    "class_weights auto": ["--objective.class_weights=auto"],
    "balance 1": ["--data.balance=1"],
    "balance 0.5": ["--data.balance=0.5"],
}
TRAINING = [
    *("--model=ResNet", "--model.depth=18", "--model.channels_last=true", "--data=ImageNet"),
    *("--data.batch_size=64", "--data.augment+=Flip", "--data.min_area=0.35"),
    *("--optimizer=SGD", "--optimizer.lr=0.05", "--optimizer.momentum=0.9"),
    *("--optimizer.nesterov=true", "--optimizer.weight_decay=0.0005"),
    *("--lr_schedule=WarmupCosine", "--lr_schedule.warmup=0.1"),
    *("--trainer.gradient_clip_val=1", "--model_checkpoint.monitor=val/acc_macro"),
    *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
]


def thinned(root: Path, folder: Path, rare: str, fraction: float, limit: int) -> None:
    """Link a dataset's images into a folder, but only a fraction of one class for training.

    Args:
        root: The dataset.
        folder: The new one.
        rare: The class.
        fraction: How much of its training images is kept.
        limit: Largest number of training images of every other class.
    """
    for split in ("train", "val"):
        for images in sorted((root / split).iterdir()):
            files = sorted(images.iterdir())
            if split == "train":
                files = files[:limit]
                files = files[: round(fraction * len(files))] if images.name == rare else files
            (folder / split / images.name).mkdir(parents=True)
            for file in files:
                (folder / split / images.name / file.name).symlink_to(file.absolute())


def measure(way: str, seed: int, data: Path, options: argparse.Namespace) -> dict[str, float]:
    """Train and test once."""
    runs = data.parent / f"{way} {seed}".replace(" ", "_")
    words = [*TRAINING, *WAYS[way], f"--seed_everything={seed}", f"--data.root={data}"]
    words += [f"--data.image_size={options.side}", f"--trainer.max_epochs={options.epochs}"]
    words += [
        f"--data.num_workers={options.workers}",
        f"--runs_dir={runs}",
        "--wandb.mode=disabled",
    ]
    folder = run_command(["fit", *words]).run.folder
    tested = command(["test", "--run", str(folder), "--trainer.enable_progress_bar=false"])
    assert tested is not None
    with tested.run.class_scores("test").open(newline="") as file:
        scores = {row["class"]: row for row in csv.DictReader(file)}
    names = tested.datamodule.class_names
    rare = scores[names[tested.datamodule.classes.index(options.rare)]]
    found = {name: tested.result[f"test/{name}"] for name in ("acc_macro", "f1", "acc")}
    return found | {
        "rare_recall": float(rare["recall"]),
        "rare_f1": float(rare["f1"]),
    }


def main() -> None:
    parser = new_parser("imbalance", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="of Imagenette")
    parser.add_argument("--rare", default="n03417042", help="the class that is thinned")
    parser.add_argument("--fraction", type=float, default=0.05, help="of its images that are kept")
    parser.add_argument("--limit", type=int, default=400, help="training images of every class")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS)[:3])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--side", type=int, default=64, help="of the images in pixels")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        thinned(options.root, data, options.rare, options.fraction, options.limit)
        for way in options.ways:
            found = [measure(way, seed, data, options) for seed in range(options.seeds)]
            for name in found[0]:
                values = [seed[name] for seed in found]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                result[f"{way}: {name}"] = f"{statistics.mean(values):.4f} ± {spread:.4f}"
                print(way, name, *(f"{value:.4f}" for value in values), flush=True)
    conclude(result, options.out)


if __name__ == "__main__":
    main()
