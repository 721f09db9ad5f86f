"""Pictures of what a network has learned."""

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from project import plots
from project.callbacks.plots import Pictures
from project.models import ImageClassifier


class Learned(Pictures):
    """Draws, when `validate` ends, the first layer's filters, and the feature maps of the first validation image."""

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        *_: Any,
    ) -> None:
        if trainer.state.fn == "validate" and batch_idx == 0:
            self.image = batch[0][:1]

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.state.fn != "validate" or not trainer.is_global_zero:
            return
        name = f"{self.run.experiment}/{self.run.id}"
        if (filters := first_filters(pl_module)) is not None:
            self.save(
                trainer,
                plots.filters(filters.cpu(), f"{name}: filters of the first layer"),
                "filters",
            )
        if maps := feature_maps(pl_module, self.image):
            picture = trainer.datamodule.displayable(self.image)[0].cpu()
            self.save(
                trainer,
                plots.feature_maps(picture, maps, f"{name}: feature maps of an image"),
                "feature_maps",
            )


def first_filters(model: ImageClassifier) -> Tensor | None:
    """Weights (N, C, h, w) of the first layer if it sees the image: kernels, or one image a neuron; None if not."""
    layer = next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if layer is None:
        return None
    weight = layer.weight.detach().float()
    if weight.ndim == 2 and weight.shape[1] == math.prod(model.input_shape):
        weight = weight.unflatten(1, model.input_shape)
    return weight if weight.ndim == 4 and weight.shape[1] == model.input_shape[0] else None


def feature_maps(model: ImageClassifier, image: Tensor) -> dict[str, Tensor]:
    """What the last layer at each resolution makes of an image (1, C, H, W): maps (C', H', W') by the layer's name."""
    last: dict[tuple[int, ...], tuple[str, Tensor]] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            size = tuple(output.shape[2:])
            last.pop(size, None)  # so that the order is that of the layers
            last[size] = (
                name,
                output[0].float().cpu().clone(),
            )  # a non-linearity may overwrite it in place

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
