"""Seconds of training to a test accuracy, on MNIST and on CIFAR-10.

    python -m tests.benchmarks.time_to_accuracy mnist        --root DIR [--turns 3]
    python -m tests.benchmarks.time_to_accuracy cifar10_fast --root DIR [--turns 5] [--device cuda]

On MNIST, ours is `python -m project fit --config configs/mnist_lenet.yaml --trainer.max_epochs 1`
with `--flags`, all of it: imports, checkpoints, validation, pictures. Its test accuracy comes from `python -m
project test`, which is not timed. The reference is what lightning-hydra-template trains by default,
written again from its published settings: an MLP 784-64-128-64-10 with batch norm and Adam at 0.001
for 10 epochs of Lightning's Trainer, validated every epoch, on images that a DataLoader without
workers reads one by one through torchvision's MNIST, ToTensor and Normalize in batches of 128. Its
time is that of the whole process less its test.

On CIFAR-10, ours is `python -m project fit --config configs/cifar10_fast.yaml` with W&B (offline),
checkpoints and metrics, and the reference the same recipe as a hand-written loop with all data on
the device. The clock runs from the end of the tenth step, when everything is compiled and cached,
to the end of the last epoch's validation and checkpoints, and is scaled to all steps. `warmup_s`
has the seconds from the first batch to then, of the first turn, which compiles.

The commands take turns, and each turn has a seed of its own. `--epochs` and `--widths` make both
smaller.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import REPOSITORY, RESULTS, conclude, new_parser

FLAGS = (
    "--data.augment null --optimizer Muon --optimizer.lr 0.05 --optimizer.momentum 0.85 "
    "--optimizer.adamw_lr 0.01 --lr_schedule Linear"
)


def reference(root: str, seed: int) -> None:
    """Train and test the usual way, and print accuracy and the seconds of the test as JSON."""
    import lightning as L
    import torch
    import torch.nn.functional as F
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger
    from torch import Tensor, nn
    from torch.utils.data import ConcatDataset, DataLoader, random_split
    from torchmetrics.classification import MulticlassAccuracy
    from torchvision import transforms
    from torchvision.datasets import MNIST

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = [nn.Flatten()]
            for i, o in ((784, 64), (64, 128), (128, 64)):
                layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
            self.net = nn.Sequential(*layers, nn.Linear(64, 10))
            splits = ("train", "val", "test")
            self.accuracies = nn.ModuleDict(
                {f"{s}_acc": MulticlassAccuracy(10, average="micro") for s in splits}
            )

        def step(self, batch: tuple[Tensor, Tensor], split: str) -> Tensor:
            logits = self.net(batch[0])
            loss = F.cross_entropy(logits, batch[1])
            accuracy = self.accuracies[f"{split}_acc"]
            accuracy(logits.argmax(1), batch[1])
            self.log(f"{split}/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
            self.log(f"{split}/acc", accuracy, on_step=False, on_epoch=True, prog_bar=True)
            return loss

        def training_step(self, batch: Any, _: int) -> Tensor:
            return self.step(batch, "train")

        def validation_step(self, batch: Any, _: int) -> None:
            self.step(batch, "val")

        def test_step(self, batch: Any, batch_idx: int) -> None:
            self.step(batch, "test")

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=0.001)
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.1, patience=10
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"},
            }

    L.seed_everything(seed)
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    everything = ConcatDataset(
        [MNIST(root, train=train, transform=transform) for train in (True, False)]
    )
    parts = random_split(everything, [55_000, 5_000, 10_000], torch.Generator().manual_seed(42))
    train, val, test = (
        DataLoader(part, 128, shuffle=i == 0, num_workers=0) for i, part in enumerate(parts)
    )
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val/acc", mode="max", save_last=True)
        trainer = L.Trainer(
            max_epochs=10,
            accelerator="cpu",
            callbacks=[best],
            logger=CSVLogger(folder),
            default_root_dir=folder,
        )
        module = Module()
        trainer.fit(module, train, val)
        start = time.perf_counter()
        [result] = trainer.test(module, test, ckpt_path="best", weights_only=False)
    print(
        "RESULT",
        json.dumps({"accuracy": result["test/acc"], "test_s": time.perf_counter() - start}),
    )


def process(words: list[str], folder: str) -> tuple[float, str]:
    """Seconds and output of a Python process."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "WANDB_MODE": "disabled",
        "PYTHONWARNINGS": "ignore",
    }
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True
    )
    return time.perf_counter() - start, done.stdout.decode()


def mnist(root: str, epochs: int, flags: list[str], seed: int) -> dict[str, float]:
    """A turn: ours, then the reference."""
    with tempfile.TemporaryDirectory() as folder:
        config = str(REPOSITORY / "configs" / "mnist_lenet.yaml")
        words = [
            "-m",
            "project",
            "fit",
            "--config",
            config,
            f"--data.root={root}",
            f"--trainer.max_epochs={epochs}",
            *flags,
        ]
        ours, _ = process([*words, f"--seed_everything={seed}"], folder)
        process(["-m", "project", "test", "--run", "runs/mnist_lenet"], folder)
        [tested] = Path(folder).glob("runs/mnist_lenet/*/tests.jsonl")
        accuracy = json.loads(tested.read_text())["test/acc"]
        seconds, said = process(
            [
                "-m",
                "tests.benchmarks.time_to_accuracy",
                "mnist",
                f"--reference={seed}",
                "--root",
                root,
            ],
            folder,
        )
    told = json.loads(said.partition("RESULT ")[2].splitlines()[0])
    return {
        "ours_s": ours,
        "ours_accuracy": accuracy,
        "reference_s": seconds - told["test_s"],
        "reference_accuracy": told["accuracy"],
    }


if __name__ == "__main__":
    parser = new_parser("time_to_accuracy", __doc__)
    parser.set_defaults(out=None)
    parser.add_argument("task", choices=("mnist", "cifar10_fast"))
    parser.add_argument(
        "--root", type=lambda path: str(Path(path).absolute()), required=True, help="of the dataset"
    )
    parser.add_argument(
        "--epochs", type=int, help="of ours on MNIST (1), of both on CIFAR-10 (the config's)"
    )
    parser.add_argument("--flags", default=FLAGS, help="of ours on MNIST")
    parser.add_argument("--turns", type=int, help="3 on MNIST, 5 on CIFAR-10")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="for CIFAR-10")
    parser.add_argument(
        "--widths", type=int, nargs=3, default=[64, 256, 256], help="of the network for CIFAR-10"
    )
    parser.add_argument(
        "--reference", type=int, metavar="SEED", help="only train MNIST's reference"
    )
    options = parser.parse_args()
    if options.reference is not None:
        reference(options.root, options.reference)
    else:
        fast = options.task == "cifar10_fast"
        epochs, count = options.epochs or 1, options.turns or (5 if fast else 3)
        if fast:
            from project.cli.config_files import read_config
            from tests.benchmarks.cifar10_fast import CONFIG, take_turn

            epochs = options.epochs or read_config(CONFIG)["trainer"]["max_epochs"]
            turns = [
                take_turn(options.root, epochs, seed, options.device, options.widths)
                for seed in range(count)
            ]
        else:
            turns = [
                mnist(options.root, epochs, shlex.split(options.flags), seed)
                for seed in range(count)
            ]
        result: dict[str, Any] = {
            key: round(statistics.fmean(turn[key] for turn in turns), 4) for key in turns[0]
        }
        result |= {
            key: round(value, 4) for key, value in turns[0].items() if key.endswith("warmup_s")
        }
        result["ratio"] = round(
            statistics.median(turn["ours_s"] / turn["reference_s"] for turn in turns), 3
        )
        conclude(
            {**result, "turns": turns, "epochs": epochs},
            options.out or RESULTS / f"{options.task}.json",
        )
