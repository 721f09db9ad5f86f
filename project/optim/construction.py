"""The construction of an optimiser from what the user chose and the groups of a model."""

import inspect
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch
from torch import nn

from project.errors import UserError
from project.optim.muon import Muon, is_matrix
from project.optim.parameter_groups import SCALES, split_groups
from project.optim.sam import SAM


def make_optimizer(
    construct: Callable[[Iterable], torch.optim.Optimizer],
    groups: list[dict[str, Any]],
    parameters: list[nn.Parameter],
    hidden: set[nn.Parameter],
) -> torch.optim.Optimizer:
    """An optimiser of parameter groups.

    Args:
        construct: Makes the optimiser of groups, or of parameters.
        groups: Options of each group; ``lr_scale`` and ``weight_decay_scale`` multiply what the
            optimiser would have without them.
        parameters: All parameters, for an optimiser that takes no groups, such as L-BFGS.
        hidden: The weights that Muon trains, unless they are vectors; AdamW trains the others.

    Raises:
        UserError: A class of torch.optim refuses its arguments or these parameters.
    """
    try:
        optimizer = construct(without_scales(groups))
        if isinstance(innermost(optimizer), Muon):
            groups = split_groups(groups, lambda p: {"use_muon": p in hidden and is_matrix(p)})
            optimizer = construct(without_scales(groups))
    except (ValueError, TypeError, RuntimeError) as error:
        optimizer = without_groups(construct, parameters, error)
        if any(group.get(scale, 1) != 1 for group in groups for scale in SCALES):
            name = type(optimizer).__name__
            raise UserError(
                f"{name} has one rate for all, but parts of this model have their own: "
                "give --optimizer SGD"
            ) from None
    for group, scaled in zip(optimizer.param_groups, groups, strict=False):
        group["lr"] *= scaled.get("lr_scale", 1)
        if "weight_decay" in group:
            group["weight_decay"] *= scaled.get("weight_decay_scale", 1)
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise UserError(
            "--optimizer SparseAdam is for sparse gradients, which no network here has: use Adam"
        )
    return optimizer


def without_scales(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups with what an optimiser knows."""
    return [{k: v for k, v in group.items() if k not in SCALES} for group in groups]


def innermost(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimiser that takes the steps: SAM leaves them to another."""
    return innermost(optimizer.base) if isinstance(optimizer, SAM) else optimizer


def option_names(optimizer: torch.optim.Optimizer) -> set[str]:
    """The arguments of an optimiser's constructor; what else its groups have is its state."""
    kinds = type(innermost(optimizer)).__mro__[:-1]
    return {name for kind in kinds for name in inspect.signature(kind).parameters}


def without_groups(
    construct: Callable[[Iterable], torch.optim.Optimizer],
    parameters: list[nn.Parameter],
    error: Exception,
) -> torch.optim.Optimizer:
    """An optimiser of all trainable parameters alike, where groups gave an error."""
    try:  # L-BFGS takes no groups; it has no weight decay either
        return construct(p for p in parameters if p.requires_grad)
    except (ValueError, TypeError, RuntimeError):
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
        refused = type(frames[-1].f_locals.get("self"))
        names = {f.f_globals["__name__"].partition(".")[0] for f in frames if not is_ours(f)}
        of_torch = f"{refused.__module__}.".startswith("torch.optim.")
        if not names <= {"torch", "jsonargparse"} or not of_torch:
            raise error from None  # it comes from the user's own code
        raise UserError(
            f"--optimizer {refused.__name__} cannot be used so: {error}; "
            "give it other arguments, or another optimizer"
        ) from None


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this package."""
    return frame.f_globals["__name__"].startswith(f"{__package__}.")


def use_fused_kernels(optimizer: torch.optim.Optimizer) -> None:
    """Use the fused kernels of SGD and Adam(W), which save a small model a fifth of its step.

    PyTorch has the kernels and does not choose them by itself; ``fused: false`` or ``foreach:
    true`` chooses otherwise.
    """
    optimizer = innermost(optimizer)
    if isinstance(optimizer, torch.optim.SGD | torch.optim.Adam | Muon):
        for group in optimizer.param_groups:
            where = {p.device.type for p in group["params"] if p.is_floating_point()}
            # SGD has no fused kernel for the DTensors of `--trainer.strategy fsdp2`.
            whole = not any(hasattr(p, "placements") for p in group["params"])
            if (
                where <= {"cpu", "cuda"}
                and (whole or not isinstance(optimizer, torch.optim.SGD))
                and group["fused"] is None
                and not (group.get("foreach") or group.get("differentiable"))
            ):
                group["fused"] = True


class Uncopied:
    """A function that copies of its owner share.

    What jsonargparse gives for a callable holds the parser, and through it the Trainer and its
    processes, none of which can be copied; weight averaging copies the whole module.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __deepcopy__(self, memo: dict) -> "Uncopied":
        return self
