"""The training loss of ImageNet's recipes, each shortened to a few hundred steps on a sample: do they learn?

    python -m tests.benchmarks.loss_curve --root DIR [--recipes configs/imagenet_resnet50.yaml]
    [--steps 200] [--batch 16]

`fit` trains each recipe on the images in DIR/train/<class>/ as it would train on ImageNet, schedule
and all, with fewer steps, smaller batches and the learning rate in proportion to them (Goyal et
al., 2017). The figures are the mean loss of each tenth of the steps, against ln(classes) of a
network that knows nothing, and say that a recipe's parts fit together, not how good it is.
GoogLeNet's loss has 0.3 times that of each auxiliary head in it.
"""

import math
import tempfile
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor

from tests.benchmarks import fit, measure_each, new_parser
from tests.benchmarks.recipe import IMAGENET, merged, words


class Losses(L.Callback):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.all: list[Tensor] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.classes = trainer.datamodule.num_classes

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: object
    ) -> None:
        self.all.append(outputs["loss"].detach())


def measure(recipe: str, root: str, steps: int, batch: int) -> dict[str, Any]:
    """The loss curve of one recipe."""
    config, losses = merged(recipe), Losses()
    whole = config["data"]["init_args"]["batch_size"]
    rate = config["optimizer"]["init_args"]["lr"]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "fit", *words(recipe), f"--data.root={root}", f"--data.batch_size={batch}", "--data.num_workers=0",
            f"--optimizer.lr={rate * batch / whole}", f"--trainer.max_steps={steps}", "--trainer.max_epochs=-1",
            "--trainer.limit_val_batches=1", "--trainer.enable_progress_bar=false", "--wandb.mode=disabled",
            "--trainer.enable_model_summary=false", f"--runs_dir={folder}",
        ]  # fmt: skip
        fit(command, losses)
    tenths = [
        round(float(part.mean()), 3) for part in torch.stack(losses.all).float().tensor_split(10)
    ]
    chance = round(math.log(losses.classes), 3)
    return {
        "steps": steps,
        "batch": batch,
        "classes": losses.classes,
        "chance": chance,
        "loss": tenths,
    }


if __name__ == "__main__":
    parser = new_parser("loss_curve", __doc__)
    parser.add_argument("--root", required=True, help="folder with train/<class>/ and val/<class>/")
    parser.add_argument("--recipes", nargs="+", default=IMAGENET)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    measure_each(
        options.recipes,
        partial(measure, root=options.root, steps=options.steps, batch=options.batch),
        options.out,
    )
