"""Grad-CAM: the parts of an image that raise the output of a class."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from project.errors import UserError

CHUNK = 32  # images at a time, as gradients take memory


def check_captum() -> None:
    """Raise UserError if captum is not installed."""
    if find_spec("captum") is None:
        raise UserError('--explain cam needs captum: pip install -e ".[explain]"')


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The layer of this name, or a UserError."""
    layers = dict(model.named_modules())
    if name not in layers:
        raise UserError(f"--explain_layer {name}: {type(model).__name__} has no such layer")
    return layers[name]


def last_maps(model: nn.Module, x: Tensor) -> str:
    """The name of the last layer whose output is maps (N, C, H, W) that are not pooled yet.

    Args:
        model: The network in eval mode.
        x: Samples (N, ...).

    Raises:
        UserError: There is none, or tokens (N, T, D) come after it, as in a transformer.
    """
    found: list[str] = []
    pooled: list[Tensor] = []

    def look(name: str, layer: nn.Module, outputs: Any) -> None:
        if not isinstance(outputs, Tensor) or outputs.ndim == 3:
            found.clear()
        elif "Pool" in type(layer).__name__:
            pooled.append(outputs)
        elif outputs.ndim == 4 and outputs[0, 0].numel() > 1:
            ends_in_pooling = any(outputs is tensor for tensor in pooled)
            found.extend([] if ends_in_pooling else [name])

    hooks = [
        layer.register_forward_hook(lambda layer, _, outputs, name=name: look(name, layer, outputs))
        for name, layer in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise UserError(
            f"--explain cam is for networks whose last layers see maps, and {type(model).__name__} "
            "has none: leave it out, or give --explain_layer"
        )
    return found[-1]


def grad_cam(model: nn.Module, x: Tensor, classes: Tensor, layer: str | None = None) -> Tensor:
    """How much each position raises the output of a class, by captum's Grad-CAM.

    The method is that of Selvaraju et al. (2017, section 3).

    Where the layer is followed by the mean over all positions and one linear layer, these are the
    class activation maps of Zhou et al. (2016), over the number of positions.

    Args:
        model: The network.
        x: Samples (N, C, H, W), normalised.
        classes: Output that is explained of each (N,).
        layer: Name of the layer with the maps; None for that of `last_maps`.

    Returns:
        Maps (N, 1, h, w) of the layer's size, not negative.

    Raises:
        UserError: There is no such layer, or its output is no maps.
    """
    from captum.attr import LayerGradCam

    training = model.training
    model.eval()
    # Tensors that a Trainer made in inference mode have no gradients.
    with torch.inference_mode(False), torch.enable_grad():
        x, classes = x.clone(), classes.clone()
        layer = layer or last_maps(model, x)
        cam = LayerGradCam(model, find_layer(model, layer))
        parts = [
            cam.attribute(part.requires_grad_(), target, relu_attributions=True).detach()
            for part, target in zip(x.split(CHUNK), classes.split(CHUNK), strict=True)
        ]
    model.train(training)
    maps = torch.cat(parts)
    if maps.ndim != 4:
        shape = list(maps.shape[1:])
        raise UserError(f"--explain_layer {layer} gives {shape} and no maps: name another layer")
    return maps
