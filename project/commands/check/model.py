"""Checks of the model on the data: loss, gradients, leaks, speed."""

import copy
import math
import os
import time
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.cli.machine import HALF
from project.commands.check.card import Card
from project.data import ImageDataModule
from project.models import Architecture

SAMPLES = 16  # that are overfitted
SECONDS = 2.0  # for overfitting, which takes a step more
STEPS = 60  # at most


def check_model(
    card: Card, data: ImageDataModule, model: Architecture, epochs: int, asked: str, used: str
) -> None:
    """Add what is found about the model on this data to the card."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = copy.deepcopy(model).to(device)
    model.setup("check")
    for part in model.modules():
        part.train(not isinstance(part, nn.modules.dropout._DropoutNd))
    chosen = data.train_indices[torch.arange(SAMPLES) * len(data.train_indices) // SAMPLES]
    x, y = data.to_input(
        *(part.to(device) for part in data.train_set.__getitems__(chosen.unique()))
    )
    with torch.no_grad():
        start = float(F.cross_entropy(model(x), y))
    usual = math.log(data.num_classes)
    text = f"{start:.3f}, chance is ln({data.num_classes}) = {usual:.3f}"
    card.add(
        "loss at the start",
        text,
        wrong=not start < 5 * usual,
        note=abs(start - usual) > 0.5 * usual,
    )
    check_overfits(card, model, x, y)
    check_leaks(card, model, x)
    if device.type == "cpu" and asked in HALF:
        check_precision(card, model, x, y, used)
    half = torch.float16 if used.startswith("16") and x.is_cuda else torch.bfloat16
    check_speed(
        card, data, model, x, y, epochs, torch.autocast(device.type, half, enabled=used in HALF)
    )


def check_overfits(card: Card, model: Architecture, x: Tensor, y: Tensor) -> None:
    """A network that learns must be able to learn a few images by heart, with all its parameters."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    silent = dict(trained)
    optimizer = torch.optim.Adam(trained.values(), lr=1e-3)
    losses: list[float] = []
    begin = time.perf_counter()
    while len(losses) < STEPS and time.perf_counter() - begin < SECONDS:
        loss, logits = model.loss(x, y)
        losses.append(float(F.cross_entropy(logits.detach(), y)))
        optimizer.zero_grad()
        loss.backward()
        # Some gradients are zero for a step, such as those behind a last norm of zero.
        silent = {name: p for name, p in silent.items() if p.grad is None or not p.grad.any()}
        optimizer.step()
        if losses[-1] < 0.1 * losses[0] and not silent:
            break
    halved = losses[-1] < 0.5 * losses[0]
    text = f"loss {losses[0]:.3f} to {losses[-1]:.3f} on {len(x)} images in {len(losses)} steps"
    slow = len(losses) < 20
    card.add(
        "one batch overfits",
        text + ("" if halved else ", too slow here to tell" if slow else ", which is not half"),
        wrong=not halved and not slow,
        note=not halved,
    )
    frozen = sum(not p.requires_grad for p in model.parameters())
    parts = f"{len(trained)} tensors" + (f", {frozen} are frozen" if frozen else "")
    names = ", ".join(list(silent)[:5])
    card.add(
        "gradients", f"none reaches {names}" if silent else f"reach all {parts}", wrong=bool(silent)
    )


def check_leaks(card: Card, model: Architecture, x: Tensor) -> None:
    """In evaluation the output of an image must not depend on the others of its batch."""
    model.eval()
    kept = len(x) // 2  # has neighbours on both sides
    others = x.roll(1, 0).neg()
    others[kept] = x[kept]
    with torch.no_grad():
        alone, among = model(x)[kept], model(others)[kept]
    leak = float((alone - among).abs().max())
    leaks = leak > 1e-3 * max(float(alone.abs().max()), 1)
    card.add(
        "leaks",
        "an image's output depends on the others"
        if leaks
        else "no sample leaks into another's output",
        wrong=leaks,
    )


def check_precision(card: Card, model: Architecture, x: Tensor, y: Tensor, used: str) -> None:
    """Some CPUs only emulate bfloat16: a few images tell, which take even those a short time."""
    x, y = x[:4], y[:4]
    rates = {
        name: step_rate(
            model, x, y, torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16")
        )
        for name in ("float32", "bfloat16")
    }
    ours, other = ("bfloat16", "float32") if used in HALF else ("float32", "bfloat16")
    slow = rates[ours] < 0.8 * rates[other]
    hint = "--trainer.precision 32-true" if ours == "bfloat16" else "--adapt_to_machine false"
    text = ", ".join(f"{name} {rate:,.1f} images/s" for name, rate in rates.items())
    card.add(
        "precision",
        f"{text}: fit uses {ours}" + (f"; {hint} would be faster" if slow else ""),
        note=slow,
    )


def check_speed(
    card: Card,
    data: ImageDataModule,
    model: Architecture,
    x: Tensor,
    y: Tensor,
    epochs: int,
    cast: AbstractContextManager,
) -> None:
    """Images per second of the loader and of the model's training step, and what they mean for a whole run."""
    processes = min(max(data.num_workers, 1), os.cpu_count() or 1)
    loading = loader_rate(data) * processes
    batch = min(data.batch_size, 32 * len(x) if x.is_cuda else 2 * len(x))
    training = step_rate(
        model,
        x.repeat(-(-batch // len(x)), 1, 1, 1)[:batch],
        y.repeat(-(-batch // len(x)))[:batch],
        cast,
    )
    slower, faster = ("loader", "model") if loading < training else ("model", "loader")
    waits = f"the {faster} waits for the {slower}"
    card.add(
        "images/s",
        f"loader {loading:,.0f} with {processes} process(es), model {training:,.0f} on {x.device.type}: {waits}",
        note=slower == "loader",
    )
    images = len(data.train_indices) * epochs
    time_text = duration(images / min(loading, training)) if epochs else "no end is configured"
    card.add(
        "whole run",
        f"{time_text} on one such device: {epochs} epochs of {len(data.train_indices):,} images",
    )


def loader_rate(data: ImageDataModule, seconds: float = 0.5) -> float:
    """Images per second of the training set, loaded by one process and made ready for the network on the CPU."""
    size, count, begin = min(data.batch_size, 64), 0, time.perf_counter()
    batches = data.train_batches(size)
    for step, rows in enumerate(batches):
        x, y = data.transfer_batch_to_device(
            data.train_set.__getitems__(rows), torch.device("cpu"), 0
        )
        data.to_input(x, y, step)
        count += size
        if time.perf_counter() - begin > seconds:
            break
    return count / (time.perf_counter() - begin)


def step_rate(
    model: Architecture, x: Tensor, y: Tensor, cast: AbstractContextManager, seconds: float = 0.5
) -> float:
    """Images per second of training steps."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    times: list[float] = []
    while sum(times) < seconds:
        begin = time.perf_counter()
        with cast:
            loss, _ = model.loss(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
        times.append(time.perf_counter() - begin)
    times = sorted(
        times[1:] or times
    )  # the first is a little slow, but where it took all the time, it must do
    return len(x) / times[len(times) // 2]


def duration(seconds: float) -> str:
    """Such as ``3 min`` or ``5.2 days``."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
