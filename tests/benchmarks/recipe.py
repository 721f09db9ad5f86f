"""A config as benchmarks train it: by `fit` on random images, and the same by hand."""

import argparse
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torchvision
from torch import nn

from project.arguments import read_config
from tests.benchmarks import REPOSITORY
from tests.benchmarks.loop import resnet18
from tests.benchmarks.synthetic import Synthetic
from tests.benchmarks.turns import ByHand, now

NAMES = ("imagenet_alexnet", "imagenet_vgg16", "imagenet_googlenet", "imagenet_resnet18", "imagenet_resnet50",
         "cifar10_resnet18")  # fmt: skip
RATE = 1e-4  # so that nothing diverges on random images
CONFIGS = [REPOSITORY / "configs" / f"{name}.yaml" for name in NAMES]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of which recipes, where, and how large."""
    parser.add_argument("--configs", type=Path, nargs="+", default=CONFIGS)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--side", type=int, default=224, help="of ImageNet's images")
    parser.add_argument("--classes", type=int, default=1000, help="of ImageNet")
    parser.add_argument("--batch", type=int, help="in place of the configs'")
    parser.add_argument("--no-compile", action="store_true", help="spare the minutes that it takes")


@dataclass(frozen=True)
class Recipe:
    """A config, and how large it is tried."""

    config: Path
    device: str
    side: int
    classes: int
    batch: int
    compile: bool

    @classmethod
    def of(cls, config: Path, options: Any) -> "Recipe":
        content = read_config(config)
        side, classes = (options.side, options.classes) if config.stem.startswith("imagenet") else (32, 10)
        batch = options.batch or content["data"]["init_args"]["batch_size"]
        return cls(config, options.device, side, classes, batch, not options.no_compile)

    def words(self, folder: Path, real: str | None = None) -> list[str]:
        """A command line of `fit`, with random images or those in a folder, that ends by itself only after long."""
        data = [
            "--data=tests.benchmarks.synthetic.Synthetic", f"--data.side={self.side}", f"--data.classes={self.classes}",
            f"--data.batch_size={self.batch}", "--data.num_workers=0", "--data.augment=null",
        ]  # fmt: skip
        return [
            "fit", f"--config={self.config}", *([f"--data.root={real}"] if real else data),
            f"--model.compile={str(self.compile).lower()}", "--trainer.max_epochs=100000",
            "--trainer.limit_val_batches=1", f"--trainer.accelerator={self.device}", "--trainer.devices=1",
            "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", f"--runs_dir={folder}",
            "--wandb.mode=disabled", f"--optimizer.lr={RATE}",
        ]  # fmt: skip

    def network(self) -> nn.Module:
        """Torchvision's."""
        name = self.config.stem.partition("_")[2]
        if self.side == 32:
            return {"resnet18": resnet18}[name](3)
        name = {"vgg16": "vgg16_bn"}.get(name, name)
        options = {"aux_logits": True, "init_weights": True} if name == "googlenet" else {}
        return getattr(torchvision.models, name)(num_classes=self.classes, **options)

    def data(self) -> Synthetic:
        data = Synthetic(self.classes, self.side, batch_size=self.batch)
        data.setup("fit")
        return data

    def by_hand(self, data: Synthetic) -> ByHand:
        """A loop on the batch that `fit` has."""
        batch, log = data.train_set.__getitems__(torch.arange(self.batch)), Path(tempfile.mkdtemp()) / "hand.csv"
        arguments = {**read_config(self.config)["optimizer"]["init_args"], "lr": RATE}
        make = partial(torch.optim.SGD, fused=True, **arguments)
        statistics, device = data.statistics(torch.device("cpu")), torch.device(self.device)
        return ByHand(
            self.network(), make, iter(lambda: batch, None), *statistics, log, device, bf16=True, compile=self.compile
        )


class Rate(L.Callback):
    """Measures images per second, and ends `fit`.

    Args:
        warmup: Steps that do not count.
        steps: That do.
    """

    images_per_s = 0.0

    def __init__(self, warmup: int = 20, steps: int = 50) -> None:
        self.warmup, self.steps = warmup, steps

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        if trainer.global_step == self.warmup:
            self.start = now(pl_module.device)
        if trainer.global_step == self.warmup + self.steps:
            seconds = now(pl_module.device) - self.start
            self.images_per_s = self.steps * trainer.datamodule.batch_size / seconds
            trainer.should_stop = True
