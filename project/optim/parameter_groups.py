"""Groups of parameters, which an optimiser gives rates and weight decays of their own."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

SCALES = ("lr_scale", "weight_decay_scale")  # of a group, which no optimiser knows


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


def split_groups(
    groups: list[dict[str, Any]], options: Callable[[nn.Parameter], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Groups of the parameters that were together and have the same further options.

    Args:
        groups: Groups with options.
        options: Gives further options of a parameter; scales multiply those of its group.
    """
    found = []
    for group in groups:
        parts: dict[tuple, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            parts.setdefault(tuple(options(parameter).items()), []).append(parameter)
        for further, params in parts.items():
            new = dict(further)
            scales = {k: new.pop(k) * group.get(k, 1) for k in SCALES if k in new}
            found.append({**group, **new, **scales, "params": params})
    return found


def l1_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Sum of the absolute values of all weights but biases and norms (lasso; Tibshirani, 1996)."""
    return torch.stack([p.abs().sum() for p in parameters if decayed(p)]).sum()
