"""A recipe as benchmarks train it: by `fit` on random images, and the same by hand."""

import argparse
import shlex
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torchvision
from torch import nn

import project.data
import project.models
from project.cli.arguments import read_arguments
from project.cli.main import CLI
from tests.benchmarks import REPOSITORY, fit
from tests.benchmarks.synthetic import Synthetic
from tests.benchmarks.turns import ByHand, now
from tests.headers import CONFIGS, fit_commands

RATE = 1e-4  # so that nothing diverges on random images
# A recipe is a config's path, from the repository on, and flags: ImageNet's, and CIFAR's first.
IMAGENET, CIFAR = (
    [command.removeprefix("--config ") for command in fit_commands(CONFIGS / name)]
    for name in ("imagenet_resnet50.yaml", "cifar_resnet18.yaml")
)
RECIPES = [*IMAGENET, CIFAR[0]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose recipes, their data and their size."""
    parser.add_argument("--recipes", nargs="+", default=RECIPES, help="each 'FILE [FLAGS]'")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--side", type=int, default=224, help="of ImageNet's images")
    parser.add_argument("--classes", type=int, default=1000, help="of ImageNet")
    parser.add_argument("--batch", type=int, help="in place of the configs'")
    parser.add_argument("--no-compile", action="store_true", help="spare the minutes that it takes")


def words(recipe: str) -> list[str]:
    """The words by which a command takes a recipe."""
    file, *others = shlex.split(recipe)
    return [f"--config={REPOSITORY / file}", *others]


def merged(recipe: str) -> dict[str, Any]:
    """The whole config of a recipe."""
    return CLI(read_arguments(["fit", *words(recipe)])).full_config()


@dataclass(frozen=True)
class Recipe:
    """A config with flags, and how large it is tried."""

    flags: list[str]
    config: dict[str, Any]
    device: str
    shape: tuple[int, int, int]
    classes: int
    batch: int
    compile: bool

    @classmethod
    def of(cls, recipe: str, options: Any) -> "Recipe":
        config = merged(recipe)
        kind, arguments = chosen(config["data"], project.data)
        if kind is project.data.ImageNet:
            classes, shape = options.classes, (3, options.side, options.side)
        else:
            classes, shape = kind.metadata(arguments)
        batch, compiled = options.batch or arguments["batch_size"], not options.no_compile
        return cls(words(recipe), config, options.device, shape, classes, batch, compiled)

    def words(self, folder: Path, real: str | None = None) -> list[str]:
        """A command line of `fit`, with random images or those in a folder, that ends by itself only after long."""
        data = [
            "--data=tests.benchmarks.synthetic.Synthetic", f"--data.shape={list(self.shape)}",
            f"--data.classes={self.classes}", "--data.num_workers=0", "--data.augment=null",
        ]  # fmt: skip
        return [
            "fit", *self.flags, *([f"--data.root={real}"] if real else data),
            f"--data.batch_size={self.batch}", f"--model.compile={str(self.compile).lower()}",
            "--trainer.max_epochs=100000", "--trainer.limit_val_batches=1", f"--trainer.accelerator={self.device}",
            "--trainer.devices=1", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false",
            f"--runs_dir={folder}", "--wandb.mode=disabled", f"--optimizer.lr={RATE}", "--adapt_to_machine=false",
        ]  # fmt: skip

    def fit(
        self, *observers: L.Callback, real: str | None = None, flags: Iterable[str] = ()
    ) -> None:
        """Train until an observer ends it, compiled for nothing but this."""
        if self.compile:
            torch.compiler.reset()  # or shapes that differ from earlier ones would compile for any shape
        with tempfile.TemporaryDirectory() as folder:
            fit([*self.words(Path(folder), real), *flags], *observers)

    def network(self) -> nn.Module:
        """Torchvision's of ImageNet's recipes; the others have networks that only the project has."""
        kind, arguments = chosen(self.config["model"], project.models)
        if arguments.get("stem") != "imagenet":
            return kind(num_classes=self.classes, input_shape=self.shape, **arguments)
        name = f"{kind.__name__.lower()}{arguments.get('depth', '')}"
        name += "_bn" if arguments.get("batch_norm") else ""
        options = {"aux_logits": True, "init_weights": True} if name == "googlenet" else {}
        return getattr(torchvision.models, name)(num_classes=self.classes, **options)

    def data(self) -> Synthetic:
        data = Synthetic(self.classes, self.shape, batch_size=self.batch)
        data.setup("fit")
        return data

    def by_hand(self, data: Synthetic, folder: Path) -> ByHand:
        """A loop on the batch that `fit` has, with a log in a folder."""
        batch = data.train_set.__getitems__(torch.arange(self.batch))
        kind, arguments = chosen(self.config["optimizer"], torch.optim)
        return ByHand(
            self.network(),
            partial(kind, **{**arguments, "lr": RATE, "fused": True}),
            iter(lambda: batch, None),
            *data.statistics(torch.device("cpu")),
            folder / "hand.csv",
            torch.device(self.device),
            bf16="bf16" in (self.config["trainer"]["precision"] or ""),
            channels_last=self.config["model"]["init_args"]["channels_last"],
            compile=self.compile,
        )


def chosen(part: dict[str, Any], package: Any) -> tuple[Any, dict[str, Any]]:
    """The class of a part of a config, and its arguments."""
    return getattr(package, part["class_path"].rpartition(".")[2]), part["init_args"]


class Rate(L.Callback):
    """Measures images per second, and ends `fit`.

    Args:
        warmup: Steps that do not count.
        steps: That do.
    """

    images_per_s = 0.0

    def __init__(self, warmup: int = 20, steps: int = 50) -> None:
        self.warmup, self.steps = warmup, steps

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object
    ) -> None:
        if trainer.global_step == self.warmup:
            self.start = now(pl_module.device)
        if trainer.global_step == self.warmup + self.steps:
            seconds = now(pl_module.device) - self.start
            self.images_per_s = self.steps * trainer.datamodule.batch_size / seconds
            trainer.should_stop = True
