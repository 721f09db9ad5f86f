"""Checks of the model on the data: first loss, overfitting, gradients, leaks between images."""

import copy
import math
import time

import torch
from torch import Tensor, nn

from project.cli.machine import HALF
from project.commands.check.card import Card
from project.commands.check.speed import check_precision, check_speed
from project.data import ImageDataModule
from project.errors import UserError
from project.models import Architecture

SAMPLES = 16  # number of images that are overfitted
SECONDS, STEPS = 2.0, 60  # limits of overfitting; the last step may end later


def check_model(
    card: Card, data: ImageDataModule, model: Architecture, epochs: int, asked: str, used: str
) -> None:
    """Check a copy of the model on this data.

    Args:
        card: The card that gets the findings.
        data: The dataset, set up.
        model: The model.
        epochs: Number of epochs of a run, 0 for no end.
        asked: Precision in the config.
        used: Precision that `fit` uses on this machine.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = copy.deepcopy(model).to(device)
    model.setup("check")
    model.objective.prepare(data, data.num_classes)
    for part in model.modules():
        part.train(not isinstance(part, nn.modules.dropout._DropoutNd))
    chosen = data.train_indices[torch.arange(SAMPLES) * len(data.train_indices) // SAMPLES]
    batch = (part.to(device) for part in data.train_set.__getitems__(chosen.unique()))
    x, y = data.to_input(*batch)
    check_first_loss(card, data, model, x, y)
    check_overfits(card, model, x, y, model.objective.chance(data.num_classes) is not None)
    check_leaks(card, model, x)
    if device.type == "cpu" and asked in HALF:
        check_precision(card, model, x, y, used)
    half = torch.float16 if used.startswith("16") and x.is_cuda else torch.bfloat16
    autocast = torch.autocast(device.type, half, enabled=used in HALF)
    check_speed(card, data, model, (x, y), epochs, autocast)


def check_first_loss(
    card: Card, data: ImageDataModule, model: Architecture, x: Tensor, y: Tensor
) -> None:
    """Compare the loss of the untrained model with that of guessing, if the objective has one."""
    with torch.no_grad():
        loss = float(model.objective.criterion(model(x), y))
    found = model.objective.chance(data.num_classes)
    if found is None:
        card.add("loss at the start", f"{loss:.3f}", wrong=not math.isfinite(loss))
        return
    try:
        formula, value = found
        chance = float(value)
    except (TypeError, ValueError):
        raise UserError(
            f"{type(model.objective).__name__}.chance() returned {found!r}, but it must return the "
            "loss of guessing as a formula and a value, such as ('ln 10', 2.303), or None"
        ) from None
    card.add(
        "loss at the start",
        f"{loss:.3f}, chance is {formula} = {chance:.3f}",
        wrong=not loss < 5 * chance,
        note=abs(loss - chance) > 0.5 * chance,
    )


def check_overfits(card: Card, model: Architecture, x: Tensor, y: Tensor, must_halve: bool) -> None:
    """Learn a few samples by heart, for which each parameter must have a gradient.

    Args:
        card: The card that gets the findings.
        model: The model, which is changed.
        x: Samples, normalised.
        y: Their targets.
        must_halve: Whether it is wrong if the loss does not halve, as with targets of any size.
    """
    losses, silent = overfit(model, x, y)
    halved, slow = losses[-1] < 0.5 * losses[0], len(losses) < 20
    text = f"loss {losses[0]:.3f} to {losses[-1]:.3f} on {len(x)} samples in {len(losses)} steps"
    text += "" if halved else ", too slow here to tell" if slow else ", which is not half"
    card.add(
        "one batch overfits", text, wrong=not halved and not slow and must_halve, note=not halved
    )
    required = [parameter.requires_grad for parameter in model.parameters()]
    frozen = required.count(False)
    reached = f"reach all {required.count(True)} tensors"
    text = f"none reaches {', '.join(silent[:5])}" if silent else reached
    text += f", {frozen} are frozen" if frozen and not silent else ""
    card.add("gradients", text, wrong=bool(silent))


def overfit(model: Architecture, x: Tensor, y: Tensor) -> tuple[list[float], list[str]]:
    """Train on one batch until it is learned or a limit is reached.

    Returns:
        Loss before each step, and names of parameters that had no gradient in any step.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    silent = dict(trained)
    optimizer = torch.optim.Adam(trained.values(), lr=1e-3)
    losses: list[float] = []
    begin = time.perf_counter()
    while len(losses) < STEPS and time.perf_counter() - begin < SECONDS:
        loss, outputs = model.loss(x, y)
        losses.append(float(model.objective.criterion(outputs.detach(), y)))
        optimizer.zero_grad()
        loss.backward()
        # Some gradients are zero in the first step, such as those behind a last norm of zero.
        silent = {name: p for name, p in silent.items() if p.grad is None or not p.grad.any()}
        optimizer.step()
        if losses[-1] < 0.1 * losses[0] and not silent:
            break
    return losses, list(silent)


def check_leaks(card: Card, model: Architecture, x: Tensor) -> None:
    """In evaluation, the output of a sample must not depend on the others of its batch."""
    model.eval()
    kept = len(x) // 2  # a sample with neighbours on both sides
    others = x.roll(1, 0).neg()
    others[kept] = x[kept]
    with torch.no_grad():
        alone, among = model(x)[kept], model(others)[kept]
    leaks = float((alone - among).abs().max()) > 1e-3 * max(float(alone.abs().max()), 1)
    text = "a sample's output depends on the others"
    card.add("leaks", text if leaks else "no sample leaks into another's output", wrong=leaks)
