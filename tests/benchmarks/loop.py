"""What `fit` costs beyond a hand-written PyTorch loop, per training step.

    python -m tests.benchmarks.loop --root DIR [--model mlp|resnet18] [--turns 60] [--out loop.json]

Both train an MLP 784-64-128-64-10 on MNIST in memory with batches of 128 and AdamW, or torchvision's ResNet-18 with a
stem for small images with batches of 64, and write mean loss and accuracy to CSV once a turn; `fit` has its default
loggers, metrics, callbacks and progress bar besides. They take turns in one process, 50 steps each or 3 of ResNet-18,
so that a machine that speeds up or slows down does so for all; the ratio is the median over all turns. Validation,
checkpoints and the first turn are not timed.

`fit` chooses PyTorch's fused kernel of AdamW, the usual hand-written loop does not; the ratio to one that does,
what remains of the loop alone, is printed too.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import ClassVar

import lightning as L
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from project.cli import main
from project.data import MNIST
from tests.benchmarks import versions

RATE = 1e-3


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(),
        nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def resnet18() -> nn.Module:
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


@dataclass(frozen=True)
class Case:
    """What is trained: by hand, and the flags of `fit` for the same."""

    network: Callable[[], nn.Module]
    flags: list[str]
    batch: int
    turn: int  # steps


CASES = {
    "mlp": Case(mlp, ["--model=MLP", "--model.hidden=[64,128,64]"], 128, 50),
    "resnet18": Case(resnet18, ["--model=ResNet", "--model.depth=18", "--model.stem=small"], 64, 3),
}


class HandWritten:
    """The same work without Lightning."""

    def __init__(self, case: Case, data: MNIST, log: Path, fused: bool | None = None) -> None:
        self.data, self.step, self.batch = data, 0, case.batch
        self.model = case.network()
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        biases = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=RATE, fused=fused)
        self.order = self.batches()
        self.writer = csv.writer(log.open("w"))

    def batches(self) -> Iterator[torch.Tensor]:
        """Indices of batches, epoch after epoch."""
        while True:
            order = self.data.train_indices[torch.randperm(len(self.data.train_indices))]
            yield from order.split(self.batch)[: len(order) // self.batch]

    def train(self, steps: int) -> None:
        images, classes = self.data.train_set.x, self.data.train_set.y
        mean, std = torch.tensor(self.data.mean).view(1, 1, 1) * 255, torch.tensor(self.data.std).view(1, 1, 1) * 255
        self.model.train()
        losses, hits = torch.zeros(()), torch.zeros(())
        for index in islice(self.order, steps):
            x, y = images.index_select(0, index).float().sub_(mean).div_(std), classes.index_select(0, index)
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses += loss.detach()
            hits += (logits.detach().argmax(1) == y).sum()
        self.step += steps
        self.writer.writerow([self.step, losses.item() / steps, hits.item() / steps / self.batch])


class TakeTurns(L.Callback):
    """After every few training steps of `fit`, times as many of each hand-written loop.

    Args:
        case: One of CASES.
        turns: After which training ends.
    """

    seconds: ClassVar[list[tuple[float, float, float]]] = []  # per step: fit, by hand, by hand with fused=True

    def __init__(self, case: str, turns: int) -> None:
        self.case, self.turns = CASES[case], turns

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        folder = Path(trainer.default_root_dir)
        logs = {fused: folder / f"{fused}.csv" for fused in (None, True)}
        self.hand_written = [HandWritten(self.case, trainer.datamodule, log, fused) for fused, log in logs.items()]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.steps, self.start = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.steps += 1
        if self.steps == self.case.turn:
            times = [self.start, time.perf_counter()]
            for loop in self.hand_written:
                loop.train(self.steps)
                times.append(time.perf_counter())
            self.seconds.append(tuple((end - start) / self.steps for start, end in pairwise(times)))
            trainer.should_stop = len(self.seconds) > self.turns
            self.steps, self.start = 0, time.perf_counter()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--model", choices=CASES, default="mlp")
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("loop.json"))
    options = parser.parse_args()
    case = CASES[options.model]
    from tests.benchmarks.loop import TakeTurns as Turns  # the class that the CLI imports, not that of __main__

    with tempfile.TemporaryDirectory() as folder:
        turns = {"class_path": "tests.benchmarks.loop.TakeTurns"}
        turns["init_args"] = {"case": options.model, "turns": options.turns}
        main(
            ["fit", *case.flags, "--data=MNIST", f"--data.root={options.root}", f"--data.batch_size={case.batch}",
             "--trainer.max_epochs=1000", f"--runs_dir={folder}", "--optimizer=AdamW", f"--optimizer.lr={RATE}",
             "--trainer.limit_val_batches=1", "--wandb.mode=disabled", f"--trainer.callbacks+={json.dumps(turns)}"]
        )  # fmt: skip
    fit, hand, fused = zip(*Turns.seconds[1:], strict=True)
    ratios = sorted(ours / theirs for ours, theirs in zip(fit, hand, strict=True))
    result = {
        "model": options.model,
        "turns": len(ratios),
        "fit_us_per_step": round(statistics.median(fit) * 1e6, 1),
        "hand_us_per_step": round(statistics.median(hand) * 1e6, 1),
        "hand_fused_us_per_step": round(statistics.median(fused) * 1e6, 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_10_to_90_percent": [round(ratios[len(ratios) * i // 10], 3) for i in (1, 9)],
        "ratio_to_hand_fused": round(statistics.median(a / b for a, b in zip(fit, fused, strict=True)), 3),
        "threads": torch.get_num_threads(),
        **versions(),
    }
    for key, value in result.items():
        print(f"{key:24} {value}")
    options.out.write_text(json.dumps(result, indent=2) + "\n")
