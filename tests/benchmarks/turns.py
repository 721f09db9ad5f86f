"""Steps of `fit` and of hand-written loops that take turns in one process.

A machine that slows down then does so for all, and the ratio of each turn holds.
"""

import csv
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import islice, pairwise
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.models import Architecture

Batches = Iterator[tuple[Tensor, Tensor]]  # uint8 images (N, C, H, W) and classes (N,), on the CPU
MakeOptimizer = Callable[[Iterable], torch.optim.Optimizer]


class ByHand:
    """A training loop as one writes it, with weight decay on kernels and matrices only, and a line of log each turn.

    Args:
        network: To train.
        optimizer: Makes one of parameter groups.
        batches: Without end.
        mean: Of the channels (C, 1, 1), of pixels in [0, 255].
        std: Likewise.
        log: A CSV file.
        device: To train on.
        bf16: Mixed precision.
        channels_last: Memory layout of kernels, which activations follow.
        compile: Compile forward and loss.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: MakeOptimizer,
        batches: Batches,
        mean: Tensor,
        std: Tensor,
        log: Path,
        device: torch.device,
        bf16: bool = False,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        layout = torch.channels_last if channels_last else torch.preserve_format
        self.model = network.to(device, memory_format=layout).train()
        parameters = list(self.model.parameters())
        decayed, others = (
            [p for p in parameters if (p.ndim > 1) == wanted] for wanted in (True, False)
        )
        self.optimizer = optimizer([{"params": decayed}, {"params": others, "weight_decay": 0.0}])
        self.batches, self.device, self.bf16 = batches, device, bf16
        self.mean, self.std = mean.to(device), std.to(device)
        self.loss = torch.compile(self.plain_loss) if compile else self.plain_loss
        self.file, self.step = log.open("w"), 0
        self.writer = csv.writer(self.file)

    def plain_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy and logits; auxiliary heads of GoogLeNet count 0.3 each. A network of ours has its own loss."""
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            if isinstance(self.model, Architecture):
                return self.model.loss(x, y)
            outputs = self.model(x)
            logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
            loss = F.cross_entropy(logits, y) + 0.3 * sum(
                F.cross_entropy(aux, y) for aux in auxiliary
            )
        return loss, logits

    def train(self, steps: int) -> None:
        losses, hits = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for x, y in islice(self.batches, steps):
            x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
            x = x.float().sub_(self.mean).div_(self.std)
            loss, logits = self.loss(x, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses += loss.detach()
            hits += (logits.detach().argmax(1) == y).sum()
        self.step += steps
        self.writer.writerow([self.step, losses.item() / steps, hits.item() / steps / len(y)])


def now(device: torch.device) -> float:
    """The time once a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class TakeTurns(L.Callback):
    """After every few training steps of `fit`, as many of each hand-written loop.

    Args:
        loops: Makes them, by name, when the Trainer has its data.
        steps: Of a turn.
        turns: To count; two before them warm up.
    """

    def __init__(
        self, loops: Callable[[L.Trainer], dict[str, ByHand]], steps: int, turns: int
    ) -> None:
        self.make, self.steps, self.turns = loops, steps, turns
        self.seconds: list[list[float]] = []  # per step: of fit, and of each loop

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loops, self.device = self.make(trainer), pl_module.device

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.done, self.start = 0, now(self.device)

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self.done += 1
        if self.done == self.steps:
            times = [self.start, now(self.device)]
            for loop in self.loops.values():
                loop.train(self.steps)
                times.append(now(self.device))
            self.seconds.append([(end - start) / self.steps for start, end in pairwise(times)])
            trainer.should_stop = len(self.seconds) == self.turns + 2
            self.done, self.start = 0, now(self.device)

    def result(self) -> dict[str, float | list[float]]:
        """Medians over the turns: microseconds per step of all, and of `fit` over each loop."""
        fit, *others = zip(*self.seconds[2:], strict=True)
        found: dict[str, float | list[float]] = {
            "fit_us_per_step": round(statistics.median(fit) * 1e6, 1)
        }
        for name, seconds in zip(self.loops, others, strict=True):
            ratios = sorted(a / b for a, b in zip(fit, seconds, strict=True))
            found[f"{name}_us_per_step"] = round(statistics.median(seconds) * 1e6, 1)
            found[f"ratio_to_{name}"] = round(statistics.median(ratios), 3)
            found[f"ratio_to_{name}_10_to_90_percent"] = [
                round(ratios[len(ratios) * i // 10], 3) for i in (1, 9)
            ]
        return found
