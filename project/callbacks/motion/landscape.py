"""The loss of a network around its weights."""

from typing import Any, Literal

import torch
from torch import Tensor

from project import plots
from project.callbacks.motion.motion import evaluating

SAMPLES = 2000  # of the training set, whose loss is drawn


def training_loss(trainer: Any, model: Any) -> float:
    """The bare loss of up to SAMPLES training samples, in eval mode."""
    data = trainer.datamodule
    rows = data.train_indices[plots.evenly_spaced(SAMPLES, len(data.train_indices))]
    x, y = data.train_set.__getitems__(rows)
    x, y = data.to_input(x.to(model.device), y.to(model.device))
    with evaluating(model), torch.no_grad():
        return float(model.objective.criterion(model(x), y))


def directions_of(model: Any, path: Tensor, kind: Literal["path", "random"]) -> Tensor:
    """Two directions (2, P) in the space of the P trained weights.

    Args:
        model: With its last weights.
        path: Weights (T, P) in the order of the steps.
        kind: ``path`` for the first two principal components of the path, seen from its end;
            ``random`` for normal numbers in which each filter has the norm of the model's, and
            biases and norms are left alone.
    """
    if kind == "path":
        _, _, components = torch.linalg.svd(path - path[-1], full_matrices=False)
        return components[:2]
    generator = torch.Generator().manual_seed(0)
    directions = []
    for _ in range(2):
        parts = []
        for parameter in (p for p in model.parameters() if p.requires_grad):
            weights = parameter.detach().float().cpu()
            drawn = torch.randn(weights.shape, generator=generator)
            if weights.ndim < 2:
                drawn.zero_()
            else:
                norms = weights.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
                drawn *= norms.view(-1, *[1] * (weights.ndim - 1))
            parts.append(drawn.flatten())
        directions.append(torch.cat(parts))
    return torch.stack(directions)


def names_of(model: Any) -> tuple[str, str]:
    """Names of the two weights of a network that has no more."""
    parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    names = [
        name if p.numel() == 1 else f"{name}[{i}]"
        for name, p in parameters
        for i in range(p.numel())
    ]
    words = {"head.weight": "weight", "head.bias": "bias"}
    first, second = (words.get(name, name) for name in names)
    return first, second
