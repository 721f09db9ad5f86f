"""`fit --find lr|batch_size`: Lightning's finders on a config, whose weights are discarded."""

import csv
import math
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.tuner import Tuner
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from project import plots
from project.data import ImageDataModule
from project.errors import UserError, writing
from project.models import Architecture
from project.optim import SAM
from project.run.folder import Run

LR_STEPS = 100  # number of rates that are tried, one a step
BATCH_SIZE_STEPS = 8  # steps with each batch size


class Found(NamedTuple):
    """The result of a finder.

    Attributes:
        names: Labels of the x and y axis.
        points: Points of the curve.
        chosen: The x of the best point.
        rows: Rows for the summary.
    """

    names: tuple[str, str]
    points: list[tuple[float, float]]
    chosen: float
    rows: dict[str, str]


def find(
    what: str, run: Run, trainer: L.Trainer, model: Architecture, data: ImageDataModule
) -> dict[str, str]:
    """Find ``lr`` or ``batch_size``, write find.csv and a figure, and return rows for the summary.

    Raises:
        UserError: None could be found.
    """
    if trainer.fast_dev_run:
        raise UserError("--find needs more steps than --trainer.fast_dev_run has: leave that out")
    trainer.check_val_every_n_epoch = sys.maxsize  # nothing is validated
    trainer.fit_loop.max_epochs = -1  # the finder counts steps
    found = (find_lr if what == "lr" else find_batch_size)(trainer, model, data)
    table = run.folder / "find.csv"
    with writing(table), table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([found.names, *found.points])
    draw(found, what, f"{run.experiment}: {type(model).__name__}", run.figures / f"find_{what}.png")
    return found.rows


def draw(found: Found, what: str, title: str, path: Path) -> None:
    """Draw the curve, with a line at the chosen value."""
    figure, (axes,) = plots.new_figure(7, 4)
    sizes = what == "batch_size"
    axes.plot(*zip(*found.points, strict=True), color=plots.BLUE, marker="." if sizes else "")
    label = f"{found.chosen:.3g}" if what == "lr" else f"{found.chosen}"
    axes.axvline(found.chosen, color=plots.ORANGE, linestyle="--", label=label)
    axes.set(xscale="log", xlabel=found.names[0], ylabel=found.names[1], title=title)
    if sizes:
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    plots.save(figure, path)


def find_lr(trainer: L.Trainer, model: Architecture, data: ImageDataModule) -> Found:
    """Find the rate at which the smoothed loss falls fastest while the rate grows (Smith, 2017).

    A schedule scales it, as it scales any configured rate.
    """
    model.check_for_nan = False  # losses may diverge

    def keep_ratios(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Keep the ratios between the groups' rates: the finder gives all groups one rate."""
        rate = optimizer.param_groups[0]["lr"]
        getattr(optimizer, "train", bool)()  # the finder leaves out the callbacks, which do this
        for group, options in zip(optimizer.param_groups, model.configured, strict=False):
            group["lr"] = rate * options["lr"] / model.base_lr

    hook = register_optimizer_step_pre_hook(keep_ratios)
    finder = Tuner(trainer).lr_find(
        model, datamodule=data, num_training=LR_STEPS, update_attr=False
    )
    hook.remove()
    assert finder is not None  # it is None under fast_dev_run alone
    points = []
    rates_and_losses = zip(finder.results["lr"], finder.results["loss"], strict=False)
    for i, (rate, loss) in enumerate(rates_and_losses, 1):
        # The finder's moving average begins at zero, and it corrects that by one loss too many; it
        # also divides the loss by the number of accumulated batches.
        loss *= (1 - 0.98 ** (i + 1)) / (1 - 0.98**i) * trainer.accumulate_grad_batches
        if math.isfinite(loss):
            points.append((rate, loss))
    candidates = points[5:-1]  # the mean of the first losses is rough, and the last may diverge
    if len(candidates) < 3:
        raise UserError(
            "the training loss diverged from the first steps on: give another --optimizer"
        )
    # Lightning's suggestion takes the slope over the rate itself, where all small rates lie on one
    # point; this one takes it over the logarithm.
    slopes = torch.gradient(torch.tensor([loss for _, loss in candidates]))[0]
    rate = candidates[int(slopes.argmin())][0]
    names = ("learning rate", "training loss, smoothed")
    sam = any(isinstance(optimizer, SAM) for optimizer in trainer.optimizers)
    key = "optimizer.base_optimizer.lr" if sam else "optimizer.lr"
    return Found(names, points, rate, {"found": f"--{key} {rate:.2g}"})


def find_batch_size(trainer: L.Trainer, model: Architecture, data: ImageDataModule) -> Found:
    """Find the smallest power of two with 95 % of the highest images/s among those that fit.

    Raises:
        UserError: Not even the smallest one fits into memory.
    """
    ends: dict[int, list[float]] = {}  # times at which steps ended, by the batch size

    def note(*_: object) -> None:
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        ends.setdefault(data.batch_size, []).append(time.monotonic())

    hook = register_optimizer_step_post_hook(note)
    data.setup("fit")
    parts = trainer.accumulate_grad_batches
    first = 2 * parts
    largest = first * 2 ** int(math.log2(len(data.train_indices) / first))
    data.batch_size = first
    limits = {"init_val": first, "max_val": largest, "steps_per_trial": BATCH_SIZE_STEPS}
    Tuner(trainer).scale_batch_size(
        model, datamodule=data, mode="power", batch_arg_name="batch_size", **limits
    )
    hook.remove()
    points: list[tuple[float, float]] = []
    for size, times in sorted(ends.items()):
        seconds = sorted(b - a for a, b in pairwise(times))
        if len(seconds) >= 3:
            points.append((size, size / seconds[len(seconds) // 2]))
    if not points:
        raise UserError(f"not even --data.batch_size {first} can be trained on this device")
    fastest = max(rate for _, rate in points)
    best = next(size for size, rate in points if rate >= 0.95 * fastest)
    rows = {
        "found": f"--data.batch_size {best}",
        "images/s": ", ".join(f"{size} {rate:,.0f}" for size, rate in points),
        "largest": f"{points[-1][0]} was tried and fits",
    }
    return Found(("batch size", "training images/s"), points, best, rows)
