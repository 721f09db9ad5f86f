"""Rates and weight decays for parameters whose names match a pattern."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Required, TypedDict

from torch import nn

from project.errors import UserError
from project.optim.parameter_groups import decayed, split_groups


class ParamPattern(TypedDict, total=False):
    """Options of the parameters whose names match a pattern.

    Attributes:
        pattern: The name of a parameter or a layer, with wildcards: ``layer4``, ``*.bias``.
            ``head`` stands for the heads, whatever they are called.
        lr_scale: Factor of the learning rate.
        weight_decay: In place of the optimiser's; biases and norms still have none.
    """

    pattern: Required[str]
    lr_scale: float
    weight_decay: float


def matched(
    patterns: Sequence[ParamPattern], names: Iterable[str], in_head: Callable[[str], bool]
) -> list[list[str]]:
    """The names that match each pattern; one that matches several belongs to the last of them.

    Args:
        patterns: Patterns with options.
        names: Names of the parameters.
        in_head: Whether the parameter of a name is part of a head.

    Raises:
        UserError: A pattern has no names.
    """
    found: list[list[str]] = [[] for _ in patterns]
    names = list(names)
    for name in names:
        fits = [i for i, options in enumerate(patterns) if fits_pattern(name, options, in_head)]
        if fits:
            found[fits[-1]].append(name)
    for options, matches in zip(patterns, found, strict=True):
        if not matches:
            raise UserError(
                f"--model.param_groups: {options['pattern']!r} matches no parameter that trains, "
                f"or later patterns match all of them; there are {', '.join(sample(names))}"
            )
    return found


def fits_pattern(name: str, options: ParamPattern, in_head: Callable[[str], bool]) -> bool:
    """Whether a pattern matches the name of a parameter, or of a layer that it is in."""
    pattern = options["pattern"]
    whole = fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
    return whole or (pattern == "head" and in_head(name))


def pattern_groups(
    groups: list[dict[str, Any]],
    module: nn.Module,
    patterns: Sequence[ParamPattern],
    in_head: Callable[[str], bool],
) -> list[dict[str, Any]]:
    """The groups, split by the patterns that parameters of ``module`` match, with their options."""
    names = {name: p for name, p in module.named_parameters() if p.requires_grad}
    found = matched(patterns, names, in_head)
    chosen = {
        names[name]: options
        for options, matches in zip(patterns, found, strict=True)
        for name in matches
    }

    def further(parameter: nn.Parameter) -> dict[str, Any]:
        left_out = {"pattern"} if decayed(parameter) else {"pattern", "weight_decay"}
        options: Any = chosen.get(parameter, {})
        return {key: value for key, value in options.items() if key not in left_out}

    return split_groups(groups, further) if patterns else groups


def description(options: ParamPattern, names: list[str]) -> str:
    """What a pattern changes and which parameters it matches, on one line."""
    changes = ", ".join(f"{key} {value}" for key, value in options.items() if key != "pattern")
    return (
        f"param_groups: {options['pattern']!r} gives {changes} to {len(names)} parameters: "
        + ", ".join(sample(names))
    )


def sample(names: list[str], most: int = 5) -> list[str]:
    """The first names, and an ellipsis if there are more."""
    return names[:most] + ["..."] * (len(names) > most)
