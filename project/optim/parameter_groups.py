"""The optimiser and the groups of parameters that it is given."""

import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from project.errors import UserError


def decayed(parameter: nn.Parameter) -> bool:
    """Whether L1 and weight decay apply: to matrices and kernels, not to biases and norms."""
    return parameter.ndim >= 2 and not getattr(parameter, "exempt_from_decay", False)


def exempt_from_decay(parameter: nn.Parameter) -> nn.Parameter:
    """Mark a parameter that is no weight, such as a position, so that nothing pulls it to zero."""
    parameter.exempt_from_decay = True  # type: ignore[attr-defined]
    return parameter


def weight_decay_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Two parameter groups: with the optimiser's ``weight_decay``, and without."""
    trainable = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trainable if decayed(p)]},
        {"params": [p for p in trainable if not decayed(p)], "weight_decay": 0.0},
    ]


def l1_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Sum of the absolute values of all weights but biases and norms (lasso; Tibshirani, 1996)."""
    return torch.stack([p.abs().sum() for p in parameters if decayed(p)]).sum()


def make_optimizer(
    construct: Callable[[Iterable], torch.optim.Optimizer],
    groups: list[dict[str, Any]],
    parameters: list[nn.Parameter],
) -> torch.optim.Optimizer:
    """An optimiser of parameter groups.

    Args:
        construct: Makes the optimiser of groups, or of parameters.
        groups: Options of each group; ``lr_scale`` and ``weight_decay_scale`` multiply what the
            optimiser would have without them.
        parameters: All parameters, for an optimiser that takes no groups, such as L-BFGS.

    Raises:
        UserError: A class of torch.optim refuses its arguments or these parameters.
    """
    scales = [(group.pop("lr_scale", 1), group.pop("weight_decay_scale", 1)) for group in groups]
    try:
        optimizer = construct(groups)
    except (ValueError, TypeError, RuntimeError) as error:
        optimizer = without_groups(construct, parameters, error)
        if any(scale != (1, 1) for scale in scales):
            name = type(optimizer).__name__
            raise UserError(
                f"{name} has one rate for all, but this model's biases have their own: "
                "give --optimizer SGD"
            ) from None
    for group, (lr_scale, weight_decay_scale) in zip(optimizer.param_groups, scales, strict=False):
        group["lr"] *= lr_scale
        if "weight_decay" in group:
            group["weight_decay"] *= weight_decay_scale
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise UserError(
            "--optimizer SparseAdam is for sparse gradients, which no network here has: use Adam"
        )
    return optimizer


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
    """Whether a frame is of this file."""
    return frame.f_globals["__name__"] == __name__


def use_fused_kernels(optimizer: torch.optim.Optimizer) -> None:
    """Use the fused kernel of SGD and Adam(W), which saves a small model a fifth of its step.

    PyTorch has the kernels and does not choose them by itself; ``fused: false`` or ``foreach:
    true`` chooses otherwise.
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
