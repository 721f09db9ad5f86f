"""Networks of CIFAR-10 in the same time: each trains as many steps as fit into the given minutes.

    python -m tests.benchmarks.same_time --root DIR --minutes 20

Steps per second are measured first. Then `fit` trains configs/cifar_resnet18.yaml with each
network's flags for that many steps, schedule and all, validates once at the end, and `test` looks
at the test set once.
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
NETWORKS = {
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


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test a network."""
    base = [
        "fit", *words(RECIPE), *NETWORKS[name], f"--data.root={options.root}",
        f"--seed_everything={options.seed}", "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false", "--wandb.mode=disabled",
    ]  # fmt: skip
    rate = Rate(warmup=5, steps=20)
    with tempfile.TemporaryDirectory() as folder:
        fit([*base, f"--runs_dir={folder}"], rate)
    batch = merged(RECIPE)["data"]["init_args"]["batch_size"]
    steps = round(60 * options.minutes * rate.images_per_s / batch)
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
        "images_per_s": round(rate.images_per_s, 1),
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
    measure_each(options.networks, lambda name: measure(name, options), options.out)


if __name__ == "__main__":
    main()
