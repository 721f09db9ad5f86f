"""`Network`: what the layers of a classifier start from."""

from typing import Any, ClassVar, Self

import lightning as L
from torch import nn

from project.models.weights import load_weights, read_weights, superseded, weights_superseded


class Network(L.LightningModule):
    """Layers for images of one shape, which may start from given weights and be frozen up to their heads.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width of an image.
        weights: To start from, if any.
        freeze: ``none`` or ``trunk``.
    """

    heads: ClassVar[tuple[str, ...]] = ("head",)

    def __init__(self, num_classes: int, input_shape: tuple[int, int, int], weights: str | None, freeze: str) -> None:
        super().__init__()
        self.num_classes, self.input_shape = num_classes, input_shape
        self.weights, self.trunk_frozen = weights, freeze == "trunk"

    def require_pixels(self, minimum: int) -> None:
        """Raise ValueError if images are smaller than ``minimum`` pixels in height or width."""
        height, width = self.input_shape[1:]
        if min(height, width) < minimum:
            small = self.hparams.get("stem") == "imagenet"
            raise ValueError(
                f"{type(self).__name__} needs images of {minimum}x{minimum} pixels or more, not {height}x{width}: "
                + ("use --model.stem small, which is for 28 to 64 pixels" if small else "choose another --model")
            )

    def initialize(self, published: str | None = None) -> None:
        """Load ``weights`` and freeze the trunk: the last line of each subclass's constructor.

        Args:
            published: torchvision's name of this network, if it publishes weights for it.
        """
        if self.weights and not superseded.get():
            state = read_weights(self.weights, published, type(self).__name__)
            load_weights(self, state, self.heads, self.weights)
        if self.trunk_frozen:
            self.backbone.requires_grad_(False)
        self.train()
        self.initialized = True

    @property
    def backbone(self) -> nn.ModuleList:
        """The trunk, every layer before the heads: the part that Lightning's BackboneFinetuning freezes."""
        others = tuple(f"{name}." for name in (*self.heads, "eval_metrics"))
        layers = [(f"{name}.", layer) for name, layer in self.named_modules() if not list(layer.children())]
        return nn.ModuleList(layer for name, layer in layers if not name.startswith(others))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.trunk_frozen:
            self.backbone.eval()
        return self

    @classmethod
    def load_from_checkpoint(cls, *args: Any, **kwargs: Any) -> Self:
        with weights_superseded():
            return super().load_from_checkpoint(*args, **kwargs)
