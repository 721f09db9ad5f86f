"""Learning-rate schedules as functions of progress.

A schedule maps progress in [0, 1] to a factor of the configured learning rate. It holds no state
and counts no steps, so neither epochs, batch size nor the number of GPUs edits it, and resuming
needs nothing.
"""

import math

from project.errors import UserError


class Schedule:
    """A learning-rate factor as a pure function of progress; subclasses implement ``__call__``."""

    def __call__(self, progress: float) -> float:
        """Factor of the learning rate at ``progress`` in [0, 1] of the run's optimiser steps."""
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
    """Linear warm-up from 0 (Goyal et al., 2017), then half a cosine (Loshchilov & Hutter, 2017).

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
    """Up along half a cosine, down along another (Smith & Topin, 2018); momentum stays constant.

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
        raise UserError(
            f"lr_schedule.{name} is {value}: it is a fraction of the run, so give one in [0, 1)"
        )
    return value
