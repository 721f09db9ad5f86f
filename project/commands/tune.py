"""`fit --find lr` and `fit --find batch_size`: Lightning's finders on a config; what they train is thrown away."""

import csv
import math
import sys
import time
from itertools import pairwise
from typing import Any

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
from project.run.folder import Run

STEPS = {"lr": 100, "batch_size": 8}  # of all rates, and of each size


def find(
    what: str, run: Run, trainer: L.Trainer, model: Architecture, data: ImageDataModule
) -> dict[str, str]:
    """Find ``lr`` or ``batch_size``: writes find.csv and a picture, and gives rows for the summary.

    Raises:
        UserError: None could be found.
    """
    if trainer.fast_dev_run:
        raise UserError("--find needs more steps than --trainer.fast_dev_run has: leave that out")
    trainer.check_val_every_n_epoch = sys.maxsize  # only training is looked at
    trainer.fit_loop.max_epochs = -1  # the finder counts steps
    names, points, chosen, rows = (find_lr if what == "lr" else find_batch_size)(
        trainer, model, data
    )
    table = run.folder / "find.csv"
    with writing(table), table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *points])
    figure, (axes,) = plots.new_figure(7, 4)
    axes.plot(
        *zip(*points, strict=True), color=plots.BLUE, marker="." if what == "batch_size" else ""
    )
    axes.axvline(
        chosen,
        color=plots.ORANGE,
        linestyle="--",
        label=f"{chosen:.3g}" if what == "lr" else f"{chosen}",
    )
    axes.set(
        xscale="log",
        xlabel=names[0],
        ylabel=names[1],
        title=f"{run.experiment}: {type(model).__name__}",
    )
    if what == "batch_size":
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    plots.save(figure, run.figures / f"find_{what}.png")
    return rows


Found = tuple[tuple[str, str], list[tuple[float, float]], float, dict[str, str]]


def find_lr(trainer: L.Trainer, model: Architecture, data: ImageDataModule) -> Found:
    """The rate at which the smoothed training loss falls fastest while the rate grows exponentially (Smith, 2017).

    A schedule scales it, as it does any configured rate.
    """
    model.check_for_nan = False  # losses may diverge

    def keep_ratios(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Keep the ratios between the groups' rates: the finder gives all groups one rate."""
        first, rate = model.configured[0]["lr"], optimizer.param_groups[0]["lr"]
        for group, options in zip(optimizer.param_groups, model.configured, strict=False):
            group["lr"] = rate * options["lr"] / first

    hook = register_optimizer_step_pre_hook(keep_ratios)
    finder = Tuner(trainer).lr_find(
        model, datamodule=data, num_training=STEPS["lr"], update_attr=False
    )
    hook.remove()
    assert finder is not None  # which it is in fast_dev_run alone
    points = []
    for i, (rate, loss) in enumerate(
        zip(finder.results["lr"], finder.results["loss"], strict=False), 1
    ):
        # The finder divides its moving average, which begins at zero, by the weight of one loss too
        # many, and the loss # by the accumulated parts.
        loss *= (1 - 0.98 ** (i + 1)) / (1 - 0.98**i) * trainer.accumulate_grad_batches
        if math.isfinite(loss):
            points.append((rate, loss))
    candidates = points[
        5:-1
    ]  # the mean of few losses is rough, and the last may have been too much
    if len(candidates) < 3:
        raise UserError(
            "the training loss diverged from the first steps on: give another --optimizer"
        )
    # Lightning's own suggestion takes the slope over the rate itself, where all small rates lie on
    # one point.
    slopes = torch.gradient(torch.tensor([loss for _, loss in candidates]))[0]
    rate = candidates[int(slopes.argmin())][0]
    return (
        ("learning rate", "training loss, smoothed"),
        points,
        rate,
        {"found": f"--optimizer.lr {rate:.2g}"},
    )


def find_batch_size(trainer: L.Trainer, model: Architecture, data: ImageDataModule) -> Found:
    """The smallest power of two that trains at 95 % or more of the highest images/s, of all that fit into memory."""
    ends: dict[int, list[float]] = {}

    def note(*_: object) -> None:
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        ends.setdefault(data.batch_size, []).append(time.monotonic())

    hook = register_optimizer_step_post_hook(note)
    data.setup("fit")
    first, most = 2 * trainer.accumulate_grad_batches, len(data.train_indices)
    limit = first * 2 ** int(math.log2(most / first))  # which the finder does not try itself
    options = {"init_val": first, "max_val": limit, "steps_per_trial": STEPS["batch_size"]}
    data.batch_size = first
    Tuner(trainer).scale_batch_size(
        model, datamodule=data, mode="power", batch_arg_name="batch_size", **options
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
    rates = ", ".join(f"{size} {rate:,.0f}" for size, rate in points)
    found = {
        "found": f"--data.batch_size {best}",
        "images/s": rates,
        "largest": f"{points[-1][0]} was tried and fits",
    }
    return ("batch size", "training images/s"), points, best, found
