"""Networks of CIFAR-10 in the same time: each trains as many steps as fit into the given minutes.

    python -m tests.benchmarks.same_time --root DIR --minutes 20

The images per second of all networks are measured first, which needs a quiet machine. Then `fit`
trains configs/cifar_resnet18.yaml with each network's flags for the steps that follow from them,
schedule and all, and validates once at the end. `test` looks at the test set once.
"""

import argparse
import tempfile
from typing import Any

from project.cli.main import main as command
from project.cli.main import run_command
from tests.benchmarks import fit, measure_each, new_parser
from tests.benchmarks.recipe import Rate, merged, words

RECIPE = "configs/cifar_resnet18.yaml"
ADAMW = [
    *("--optimizer=AdamW", "--optimizer.weight_decay=0.05", "--lr_schedule.warmup=0.1"),
    "--trainer.gradient_clip_val=1",
]
OLDER = [
    *("--model.stem=small", "--model.batch_norm=true", "--model.channels_last=true"),
    "--optimizer.lr=0.05",
]
NETWORKS = {
    "AlexNet": ["--model=AlexNet", *OLDER],
    "VGG-16": ["--model=VGG", *OLDER],
    "GoogLeNet": ["--model=GoogLeNet", "--model.stem=small", "--model.channels_last=true"],
    "ResNet-18": [],
    "ConvNeXt-atto": [
        *("--model=ConvNeXt", "--model.size=atto", "--model.stem=small"),
        *(*ADAMW, "--optimizer.lr=0.002"),
    ],
    "ViT-Ti/4": [
        *("--model=ViT", "--model.size=tiny", "--model.patch=4"),
        *(*ADAMW, "--optimizer.lr=0.001"),
    ],
}


def command_line(name: str, options: argparse.Namespace) -> list[str]:
    """What `fit` is told of a network, but for where it ends and its folder."""
    return [
        "fit", *words(RECIPE), *NETWORKS[name], f"--data.root={options.root}",
        f"--seed_everything={options.seed}", "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false", "--wandb.mode=disabled",
    ]  # fmt: skip


def images_per_s(base: list[str]) -> float:
    """How fast a command line trains."""
    rate = Rate(warmup=5, steps=20)
    with tempfile.TemporaryDirectory() as folder:
        fit([*base, "--trainer.limit_val_batches=1", f"--runs_dir={folder}"], rate)
    return rate.images_per_s


def measure(name: str, speed: float, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test a network that trains so many images per second."""
    base = command_line(name, options)
    batch = merged(RECIPE)["data"]["init_args"]["batch_size"]
    steps = round(60 * options.minutes * speed / batch)
    ends = [
        f"--trainer.max_steps={steps}", "--trainer.max_epochs=-1",
        f"--trainer.val_check_interval={steps}", "--trainer.check_val_every_n_epoch=null",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trained = run_command([*base, *ends, f"--runs_dir={folder}"])
        tested = command(["test", "--run", str(trained.run.folder), *base[-3:]])
    assert tested is not None
    samples = len(trained.datamodule.train_indices)
    return {
        "flags": NETWORKS[name],
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "images_per_s": round(speed, 1),
        "steps": steps,
        "epochs": round(steps * batch / samples, 2),
        "val/acc": round(trained.result["val/acc"], 4),
        "test/acc": round(tested.result["test/acc"], 4),
    }


def main() -> None:
    parser = new_parser("same_time", __doc__)
    parser.add_argument("--root", required=True, help="folder of the dataset")
    parser.add_argument("--minutes", type=float, default=20, help="of training for each network")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    speeds = {name: images_per_s(command_line(name, options)) for name in options.networks}
    measure_each(speeds, lambda name: measure(name, speeds[name], options), options.out)


if __name__ == "__main__":
    main()
