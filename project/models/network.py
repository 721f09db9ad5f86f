"""`Network`: what the layers of a classifier start from."""

from typing import Any, ClassVar, Self

import lightning as L
import torch
from lightning.pytorch.callbacks import BaseFinetuning
from torch import nn

from project.errors import UserError
from project.models.pretrained import load_weights, read_weights, superseded, weights_superseded


class Network(L.LightningModule):
    """Layers for images of one shape, which may start from given weights and be frozen up to their heads.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width of an image.
        weights: To start from, if any.
        freeze: ``none`` or ``trunk``.
    """

    head_names: ClassVar[tuple[str, ...]] = ("head",)

    def __init__(
        self, num_classes: int, input_shape: tuple[int, int, int], weights: str | None, freeze: str
    ) -> None:
        super().__init__()
        if num_classes < 1 or len(input_shape) != 3 or min(input_shape) < 1:
            raise UserError(
                f"num_classes {num_classes} and input_shape {list(input_shape)} (C, H, W) must be positive"
            )
        self.num_classes, self.input_shape = num_classes, input_shape
        self.example_input_array = torch.zeros(
            1, *input_shape
        )  # Lightning's summary counts operations with it
        self.weights, self.trunk_frozen = weights, freeze == "trunk"

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        """Spare the hooks of datasets, which expect images with targets, the example of Lightning's summary."""
        return (
            batch
            if batch is self.example_input_array
            else super()._on_before_batch_transfer(batch, dataloader_idx)
        )

    def _apply_batch_transfer_handler(
        self, batch: Any, device: Any = None, dataloader_idx: int = 0
    ) -> Any:
        if batch is self.example_input_array:
            return batch.to(device or self.device)
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)

    def require_pixels(self, minimum: int) -> None:
        """Raise UserError if images are smaller than ``minimum`` pixels in height or width."""
        height, width = self.input_shape[1:]
        if min(height, width) < minimum:
            small = self.hparams.get("stem") == "imagenet"
            raise UserError(
                f"{type(self).__name__} needs images of {minimum}x{minimum} pixels or more, not {height}x{width}: "
                + (
                    "use --model.stem small, which is for 28 to 64 pixels"
                    if small
                    else "choose another --model"
                )
            )

    def initialize(self, published: str | None = None) -> None:
        """Load ``weights`` and freeze the trunk: the last line of each subclass's constructor.

        Args:
            published: torchvision's name of this network, if it publishes weights for it.
        """
        if self.weights and not superseded.get():
            name = type(self).__name__ + (
                " with the small stem" if self.hparams.get("stem") == "small" else ""
            )
            load_weights(
                self, read_weights(self.weights, published, name), self.head_names, self.weights
            )
        if self.trunk_frozen:
            trunk = [(name, p) for name, p in self.named_parameters() if not self.in_head(name)]
            if len(trunk) == len(list(self.parameters())):
                raise UserError(
                    f"{type(self).__name__} has no layer named {' or '.join(self.head_names)} to train alone"
                )
            for _, parameter in trunk:
                parameter.requires_grad_(False)
        self.train()
        self.initialized = True

    def in_head(self, name: str) -> bool:
        """Whether the parameter or layer of this name is part of a head."""
        return f"{name}.".startswith(tuple(f"{head}." for head in self.head_names))

    @property
    def backbone(self) -> nn.Module:
        """The trunk, every layer before the heads: the part that Lightning's BackboneFinetuning freezes."""
        if "backbone" in self._modules:  # a subclass has one of its own
            return self.get_submodule("backbone")
        metrics = ("eval_metrics", "eval_metrics.")
        layers = [
            (n, m)
            for n, m in self.named_modules()
            if not list(m.children()) and not n.startswith(metrics)
        ]
        return nn.ModuleList(layer for name, layer in layers if not self.in_head(name))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.trunk_frozen:
            self.backbone.eval()
        return self

    def on_fit_start(self) -> None:
        for callback in self.trainer.callbacks:
            if isinstance(callback, BaseFinetuning):
                name = type(callback).__name__
                if self.trunk_frozen:
                    raise UserError(
                        f"{name} unfreezes what --model.freeze trunk freezes: give one of them"
                    )
                if self.trainer.world_size > 1:  # DDP has been told which parameters it averages
                    raise UserError(
                        f"{name} is for one device: gradients of what it unfreezes would not be averaged; "
                        "train with --model.freeze trunk first, then start from that checkpoint"
                    )

    @classmethod
    def load_from_checkpoint(cls, *args: Any, **kwargs: Any) -> Self:
        with weights_superseded():
            return super().load_from_checkpoint(*args, **kwargs)
