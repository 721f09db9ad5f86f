"""Checks of speed: the precision, the loader, the training step, and the time of a whole run."""

import os
import time
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from project.cli.machine import HALF
from project.commands.check.card import Card
from project.data import ImageDataModule
from project.models import Architecture


def check_precision(card: Card, model: Architecture, x: Tensor, y: Tensor, used: str) -> None:
    """Compare float32 with bfloat16, which some CPUs only emulate, on a few images."""
    rates = {}
    for name in ("float32", "bfloat16"):
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16")
        rates[name] = step_rate(model, x[:4], y[:4], autocast)
    ours, other = ("bfloat16", "float32") if used in HALF else ("float32", "bfloat16")
    slow = rates[ours] < 0.8 * rates[other]
    text = ", ".join(f"{name} {rate:,.1f} images/s" for name, rate in rates.items())
    text += f": fit uses {ours}"
    if slow:
        flag = "--trainer.precision 32-true" if ours == "bfloat16" else "--adapt_to_machine false"
        text += f"; {flag} would be faster"
    card.add("precision", text, note=slow)


def check_speed(
    card: Card,
    data: ImageDataModule,
    model: Architecture,
    batch: tuple[Tensor, Tensor],
    epochs: int,
    autocast: AbstractContextManager,
) -> None:
    """Measure images per second of loader and training step, and estimate a whole run."""
    processes = min(max(data.num_workers, 1), os.cpu_count() or 1)
    loading = loader_rate(data) * processes
    x, y = batch
    size = min(data.batch_size, 32 * len(x) if x.is_cuda else 2 * len(x))
    repeats = -(-size // len(x))
    x, y = (part.repeat(repeats, *[1] * (part.ndim - 1))[:size] for part in (x, y))
    training = step_rate(model, x, y, autocast)
    slower, faster = ("loader", "model") if loading < training else ("model", "loader")
    text = f"loader {loading:,.0f} with {processes} process(es), "
    text += f"model {training:,.0f} on {x.device.type}: the {faster} waits for the {slower}"
    card.add("images/s", text, note=slower == "loader")
    count = len(data.train_indices)
    time_text = duration(count * (epochs or 1) / min(loading, training))
    if epochs:
        text = f"{time_text} on one such device: {epochs} epochs of {count:,} images"
    else:
        text = f"give --trainer.max_epochs to know it: an epoch of {count:,} images is {time_text}"
    card.add("whole run", text, note=not epochs)


def loader_rate(data: ImageDataModule, seconds: float = 0.5) -> float:
    """Images per second that one process loads and makes ready for the network on the CPU."""
    size, count, begin, cpu = min(data.batch_size, 64), 0, time.perf_counter(), torch.device("cpu")
    for step, rows in enumerate(data.train_batches(size)):
        batch = data.transfer_batch_to_device(data.train_set.__getitems__(rows), cpu, 0)
        data.to_input(*batch, step)
        count += size
        if time.perf_counter() - begin > seconds:
            break
    return count / (time.perf_counter() - begin)


def step_rate(
    model: Architecture,
    x: Tensor,
    y: Tensor,
    autocast: AbstractContextManager,
    seconds: float = 0.5,
) -> float:
    """Images per second of training steps."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    times: list[float] = []
    while sum(times) < seconds:
        begin = time.perf_counter()
        with autocast:
            loss, _ = model.loss(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
        times.append(time.perf_counter() - begin)
    times = sorted(times[1:] or times)  # the first step is slower, and may be the only one
    return len(x) / times[len(times) // 2]


def duration(seconds: float) -> str:
    """A time such as ``3 min`` or ``5.2 days``."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
