"""What `fit` costs beyond a hand-written PyTorch loop, per training step.

    python -m tests.benchmarks.loop --root DIR [--epochs 15] [--out loop.json]

Both train an MLP 784-64-128-64-10 on MNIST in memory with batches of 128 and AdamW, and write mean loss and
accuracy to CSV every 50 steps; `fit` has its default loggers, metrics, callbacks and progress bar besides. They take
turns, epoch by epoch, in one process; validation and checkpoints are not timed. The first epoch warms up.
"""

import argparse
import csv
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import nn

from project.cli import main
from project.data import MNIST

HIDDEN, BATCH, LOG_EVERY, RATE = [64, 128, 64], 128, 50, 1e-3


class HandWritten:
    """The same work without Lightning."""

    def __init__(self, data: MNIST, log: Path) -> None:
        self.data, self.step = data, 0
        self.model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        biases = [p for p in self.model.parameters() if p.ndim == 1]
        self.optimizer = torch.optim.AdamW([{"params": weights}, {"params": biases, "weight_decay": 0.0}], lr=RATE)
        self.writer = csv.writer(log.open("w"))

    def epoch(self) -> int:
        """Train for one epoch; gives the number of steps."""
        images, classes = self.data.train_set.x, self.data.train_set.y
        order = self.data.train_indices[torch.randperm(len(self.data.train_indices))]
        mean, std = torch.tensor(self.data.mean).view(1, 1, 1), torch.tensor(self.data.std).view(1, 1, 1)
        self.model.train()
        losses, hits = torch.zeros(()), torch.zeros(())
        steps = len(order) // BATCH
        for index in order.split(BATCH)[:steps]:
            x, y = images.index_select(0, index).float().div_(255).sub_(mean).div_(std), classes[index]
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses += loss.detach()
            hits += (logits.detach().argmax(1) == y).sum()
            self.step += 1
            if self.step % LOG_EVERY == 0:
                self.writer.writerow([self.step, losses.item() / LOG_EVERY, hits.item() / LOG_EVERY / BATCH])
                losses.zero_()
                hits.zero_()
        return steps


class TakeTurns(L.Callback):
    """After the training batches of each epoch of `fit`, times an epoch of the hand-written loop."""

    fit_seconds: list[float] = []  # per step, one number an epoch
    hand_seconds: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:
            self.hand_written = HandWritten(trainer.datamodule, Path(trainer.default_root_dir) / "hand.csv")
        self.start = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.fit_seconds.append((time.perf_counter() - self.start) / trainer.num_training_batches)
            with torch.inference_mode(False), torch.enable_grad():
                start = time.perf_counter()
                steps = self.hand_written.epoch()
                self.hand_seconds.append((time.perf_counter() - start) / steps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("loop.json"))
    options = parser.parse_args()
    from tests.benchmarks.loop import TakeTurns as Turns  # the class that the CLI imports, not that of __main__

    with tempfile.TemporaryDirectory() as folder:
        main(
            ["fit", "--model", "MLP", f"--model.hidden={HIDDEN}", "--data", "MNIST", f"--data.root={options.root}",
             f"--data.batch_size={BATCH}", f"--trainer.max_epochs={options.epochs}", f"--runs_dir={folder}",
             "--optimizer", "AdamW", f"--optimizer.lr={RATE}", "--trainer.callbacks+=tests.benchmarks.loop.TakeTurns"]
        )  # fmt: skip
    pairs = list(zip(Turns.fit_seconds, Turns.hand_seconds, strict=True))[1:]
    ratios = [fit / hand for fit, hand in pairs]
    result = {
        "fit_us_per_step": [round(fit * 1e6, 1) for fit, _ in pairs],
        "hand_us_per_step": [round(hand * 1e6, 1) for _, hand in pairs],
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "torch": torch.__version__,
        "lightning": L.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    for key, value in result.items():
        print(f"{key:18} {value}")
    options.out.write_text(json.dumps(result, indent=2))
