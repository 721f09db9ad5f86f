"""The layers of a network from its input to its heads, by the order of its modules."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from project.optim.parameter_groups import decayed, split_groups

STACKS = (nn.Sequential, nn.ModuleList)


def layer_order(module: nn.Module, in_head: Callable[[str], bool]) -> dict[str, int]:
    """The number of the layer of each parameter: 0 for the stem, the greatest for the heads.

    A child of the network is one layer, but each element of a ``Sequential`` or ``ModuleList`` is
    one of its own: a block of a ResNet, a convolution of VGG. A child with more than half of all
    parameters is taken apart as the network is. What has no matrix or kernel, such as a norm,
    belongs to the layer before it; single parameters, such as a class token, belong to the stem.
    This is the order of BEiT (Bao et al., 2022) and of timm's ``param_groups_layer_decay``.

    Args:
        module: The network.
        in_head: Whether the parameter of a name is part of a head.
    """
    parameters = dict(module.named_parameters())
    layers: dict[str, int] = {}
    current = -1
    for prefix, unit in units(module, "", sum(p.numel() for p in parameters.values())):
        names = [f"{prefix}.{name}" for name, _ in unit.named_parameters()]
        names = [name for name in names if name in parameters and not in_head(name)]
        current += any(decayed(parameters[name]) for name in names)
        layers |= {name: max(current, 0) for name in names if name not in layers}
    heads = {name: current + 1 for name in parameters if in_head(name)}
    return {name: {**layers, **heads}.get(name, 0) for name in parameters}


def units(module: nn.Module, prefix: str, total: int) -> Iterator[tuple[str, nn.Module]]:
    """The modules that `layer_order` does not take apart, with their names.

    Args:
        module: Is taken apart.
        prefix: Its name with a dot behind it.
        total: Number of parameters of the network.
    """
    for name, child in module.named_children():
        numel = sum(p.numel() for p in child.parameters())
        great = not isinstance(module, STACKS) and 2 * numel > total and list(child.children())
        if type(child) in STACKS or great:
            yield from units(child, f"{prefix}{name}.", total)
        else:
            yield f"{prefix}{name}", child


def layer_decay_groups(
    groups: list[dict[str, Any]], module: nn.Module, layers: dict[str, int], decay: float
) -> list[dict[str, Any]]:
    """The groups, split by layers, each with a rate ``decay`` times that of the layer after it.

    Args:
        groups: Groups of parameters of the network.
        module: The network.
        layers: The layer of each parameter, from `layer_order`.
        decay: Factor from layer to layer (Bao et al., 2022, appendix H).
    """
    last = max(layers.values())
    scales = {p: decay ** (last - layers[name]) for name, p in module.named_parameters()}
    return split_groups(groups, lambda parameter: {"lr_scale": scales[parameter]})


def hidden_weights(module: nn.Module, layers: dict[str, int]) -> set[nn.Parameter]:
    """The weights between the first layer and the last one, without those of embeddings."""
    embeddings = [m.weight for m in module.modules() if isinstance(m, nn.Embedding)]
    return {
        parameter
        for name, parameter in module.named_parameters()
        if 0 < layers[name] < max(layers.values()) and name.endswith("weight")
    }.difference(embeddings)
