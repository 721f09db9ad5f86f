"""What the optimiser is given: parameter groups, and learning-rate schedules as functions of progress.

A schedule maps progress in [0, 1] to a factor of the configured learning rate. It holds no state and
counts no steps, so neither epochs, batch size nor the number of GPUs edits it, and resuming needs nothing.
"""

import math
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from project.errors import UserError


def decayed(parameter: nn.Parameter) -> bool:
    """Whether L1 and weight decay apply: to weight matrices and kernels, not to biases and norms (1-D)."""
    return parameter.ndim >= 2


def weight_decay_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Two parameter groups: those that the optimiser's ``weight_decay`` applies to, and those it skips."""
    trainable = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trainable if decayed(p)]},
        {"params": [p for p in trainable if not decayed(p)], "weight_decay": 0.0},
    ]


def make_optimizer(
    construct: Callable[[Iterable], torch.optim.Optimizer], parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """An optimiser of the trainable ``parameters``, in groups of which one is not decayed if it takes groups.

    Raises:
        UserError: One of torch.optim refuses its arguments, or these parameters: Muon takes matrices alone.
    """
    try:
        optimizer = construct(weight_decay_groups(parameters))
    except (ValueError, TypeError, RuntimeError) as error:
        try:  # L-BFGS takes no groups; it has no weight decay either
            optimizer = construct(p for p in parameters if p.requires_grad)
        except (ValueError, TypeError, RuntimeError):
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
            refused = type(frames[-1].f_locals.get("self"))
            names = {frame.f_globals["__name__"].partition(".")[0] for frame in frames if not is_ours(frame)}
            if not names <= {"torch", "jsonargparse"} or not f"{refused.__module__}.".startswith("torch.optim."):
                raise error from None  # out of code of the user's own
            advice = "give it other arguments, or another optimizer"
            raise UserError(f"--optimizer {refused.__name__} cannot be used so: {error}; {advice}") from None
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise UserError("--optimizer SparseAdam is for sparse gradients, which no network here has: use Adam")
    return optimizer


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this file."""
    return frame.f_globals["__name__"] == __name__


def use_fused_kernels(optimizer: torch.optim.Optimizer) -> None:
    """Update all parameters of SGD and Adam(W) in one kernel, a fifth of a small model's step, unless told otherwise.

    PyTorch has the kernels and does not choose them by itself; ``fused: false`` or ``foreach: true`` chooses otherwise.
    """
    if isinstance(optimizer, torch.optim.SGD | torch.optim.Adam):
        for group in optimizer.param_groups:
            where = {p.device.type for p in group["params"] if p.is_floating_point()}
            if (
                where <= {"cpu", "cuda"}
                and group["fused"] is None
                and not (group["foreach"] or group["differentiable"])
            ):
                group["fused"] = True


class ProgressLR(LRScheduler):
    """Multiplies each group's configured learning rate by a factor that depends on the optimiser step alone.

    Groups that were added later, such as BackboneFinetuning's, keep the rate of who added them.

    Args:
        optimizer: Whose groups' rates are the configured ones.
        factor: Gives the factor at an optimiser step, counted from 0.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, factor: Callable[[int], float]) -> None:
        self.factor = factor
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        factor = self.factor(self.last_epoch)
        rates = [rate * factor for rate in self.base_lrs]
        return rates + [group["lr"] for group in self.optimizer.param_groups[len(rates) :]]

    def step(self, epoch: int | None = None) -> None:
        self._step_count += 1
        self.go_to(self.last_epoch + 1, self.base_lrs)

    def go_to(self, step: int, rates: list[Any]) -> None:
        """Set the rates of a step, given the configured rates, of which a checkpoint may have others."""
        self.base_lrs, self.last_epoch = rates, step
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "_step_count": self._step_count}


class Uncopied:
    """A function that copies of its owner share.

    What jsonargparse gives for a callable holds the parser, and through it the Trainer and its processes, none of which
    can be copied; weight averaging copies the whole module.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __deepcopy__(self, memo: dict) -> "Uncopied":
        return self


class Schedule:
    """A learning-rate factor as a pure function of progress; subclass it and implement ``__call__``."""

    def __call__(self, progress: float) -> float:
        """Factor of the learning rate at ``progress`` in [0, 1] of the optimiser steps of the run."""
        raise NotImplementedError


class Constant(Schedule):
    """The configured learning rate, all the way."""

    def __call__(self, progress: float) -> float:
        return 1.0


class Linear(Schedule):
    """Linear warm-up from ``initial``, then a straight line from 1 to ``final``.

    Args:
        warmup: Fraction of the run spent warming up.
        initial: Factor at the start of the run.
        final: Factor at the end of the run.
    """

    def __init__(self, warmup: float = 0.0, initial: float = 0.0, final: float = 0.0) -> None:
        self.warmup, self.initial, self.final = fraction(warmup, "warmup"), initial, final

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return interpolate(self.initial, 1.0, progress / self.warmup)
        return interpolate(1.0, self.final, (progress - self.warmup) / (1 - self.warmup))


class Polynomial(Schedule):
    """From 1 to 0 along a power of what is left of the run; Caffe's ``poly``.

    Args:
        power: Below 1 it falls late, above 1 early.
    """

    def __init__(self, power: float = 0.5) -> None:
        if power <= 0:
            raise UserError(f"lr_schedule.power is {power}: give a positive number")
        self.power = power

    def __call__(self, progress: float) -> float:
        return max(0.0, 1 - progress) ** self.power


class WarmupCosine(Schedule):
    """Linear warm-up from 0 (Goyal et al., 2017), then half a cosine to ``final`` (Loshchilov & Hutter, 2017).

    Args:
        warmup: Fraction of the run spent warming up.
        final: Factor at the end of the run.
    """

    def __init__(self, warmup: float = 0.05, final: float = 0.0) -> None:
        self.warmup, self.final = fraction(warmup, "warmup"), final

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return interpolate(1.0, self.final, cosine((progress - self.warmup) / (1 - self.warmup)))


class Step(Schedule):
    """Multiply by ``gamma`` at each milestone (He et al., 2016: a tenth at 1/3 and 2/3 of the run).

    Args:
        milestones: Fractions of the run.
        gamma: Factor applied at each.
    """

    def __init__(self, milestones: tuple[float, ...] = (1 / 3, 2 / 3), gamma: float = 0.1) -> None:
        self.milestones, self.gamma = tuple(fraction(m, "milestones") for m in milestones), gamma

    def __call__(self, progress: float) -> float:
        return float(self.gamma ** sum(progress >= milestone for milestone in self.milestones))


class OneCycle(Schedule):
    """Up along half a cosine, down along another (Smith & Topin, 2018); momentum stays as configured.

    Args:
        warmup: Fraction of the run at which the factor peaks at 1.
        initial: Factor at the start.
        final: Factor at the end.
    """

    def __init__(self, warmup: float = 0.3, initial: float = 0.04, final: float = 4e-6) -> None:
        self.warmup, self.initial, self.final = fraction(warmup, "warmup"), initial, final

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return interpolate(self.initial, 1.0, cosine(progress / self.warmup))
        return interpolate(1.0, self.final, cosine((progress - self.warmup) / (1 - self.warmup)))


def interpolate(start: float, end: float, t: float) -> float:
    """From ``start`` at t = 0 to ``end`` at t = 1."""
    return start + (end - start) * t


def cosine(t: float) -> float:
    """Half a cosine rising from 0 at t = 0 to 1 at t = 1."""
    return (1 - math.cos(math.pi * t)) / 2


def fraction(value: float, name: str) -> float:
    """``value`` if it lies in [0, 1).

    Raises:
        UserError: It does not.
    """
    if not 0 <= value < 1:
        raise UserError(f"lr_schedule.{name} is {value}, but it is a fraction of the run: give a number in [0, 1)")
    return value
