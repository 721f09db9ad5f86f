"""Figures of what a network has learned."""

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from project import plots
from project.callbacks.plots import Plots, to_image
from project.run.distributed import has_whole_model


class FilterPlots(Plots):
    """Draws the first layer's filters and an image's feature maps when `validate` ends."""

    on_fit_end = L.Callback.on_fit_end  # the history is drawn by others

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.sample: Tensor | None = None

    def add(self, trainer: L.Trainer, outputs: Any, x: Tensor, y: Tensor) -> None:
        self.sample = x[:1] if self.sample is None else self.sample

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        model: Any = trainer.lightning_module
        if split != "val" or not trainer.is_global_zero or self.sample is None:
            return
        if not has_whole_model(trainer):  # one process alone cannot compute with it
            return
        if (filters := first_filters(model)) is not None:
            figure = plots.filters(filters.cpu(), f"{self.title}: filters of the first layer")
            self.save(trainer, figure, "filters")
        image = to_image(trainer, self.sample)
        maps = feature_maps(model, self.sample) if image is not None else {}
        if image is not None and maps:
            title = f"{self.title}: feature maps of an image"
            self.save(trainer, plots.feature_maps(image[0], maps, title), "feature_maps")


def first_filters(model: Any) -> Tensor | None:
    """Weights (N, C, h, w) of the first layer if it sees an image, else None.

    They are kernels, or one image for each neuron.
    """
    layer = next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if layer is None or len(model.input_shape) != 3:
        return None
    weight = layer.weight.detach().float()
    if weight.ndim == 2 and weight.shape[1] == math.prod(model.input_shape):
        weight = weight.unflatten(1, model.input_shape)
    return weight if weight.ndim == 4 and weight.shape[1] == model.input_shape[0] else None


def feature_maps(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Activations (C', H', W') of an image (1, C, H, W) at each resolution, by layer name."""
    last: dict[tuple[int, ...], tuple[str, Tensor]] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            size = tuple(output.shape[2:])
            last.pop(size, None)  # so that the order is that of the layers
            # A later non-linearity may overwrite the output in place.
            last[size] = (name, output[0].float().cpu().clone())

    hooks = [
        layer.register_forward_hook(lambda _layer, _x, output, name=name: note(name, output))
        for name, layer in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        for hook in hooks:
            hook.remove()
    return dict(last.values())
