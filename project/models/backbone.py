"""`Backbone`: the weights that a network starts from, and the part of it that may be frozen."""

from typing import Any, ClassVar, Self

import lightning as L
from torch import Tensor, nn

from project.errors import UserError
from project.models.pretrained import load_weights, pretrained_skipped, read_weights


class Backbone(L.LightningModule):
    """A network whose layers before its heads may keep the weights that they start from."""

    head_names: ClassVar[tuple[str, ...]] = ("head",)
    freeze_backbone: bool

    def initialize(self, torchvision_name: str | None = None) -> None:
        """Load ``weights`` and freeze the backbone: the last line of each subclass's constructor.

        Args:
            torchvision_name: torchvision's name of this network, if it publishes weights for it.
        """
        load_initial_weights(self, torchvision_name)
        if self.freeze_backbone:
            freeze(self)
        self.train()
        self.initialized = True

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """``weights`` as they were read, for the names and the image size of this network."""
        return state

    def in_head(self, name: str) -> bool:
        """Whether the parameter or layer of this name is part of a head."""
        return f"{name}.".startswith(tuple(f"{head}." for head in self.head_names))

    @property
    def backbone(self) -> nn.Module:
        """Every layer before the heads, which Lightning's BackboneFinetuning freezes."""
        if "backbone" in self._modules:  # a subclass has one of its own
            return self.get_submodule("backbone")
        layers = [
            layer
            for name, layer in self.named_modules()
            if not list(layer.children())
            and not f"{name}.".startswith("eval_metrics.")
            and not self.in_head(name)
        ]
        return nn.ModuleList(layers)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self


def load_initial_weights(model: Any, torchvision_name: str | None) -> None:
    """Load the ``weights`` that an architecture was given, unless a checkpoint follows."""
    if model.weights and not pretrained_skipped():
        small = model.hparams.get("stem") == "small"
        name = type(model).__name__ + (" with the small stem" if small else "")
        state = read_weights(model.weights, torchvision_name, name)
        load_weights(model, model.adapt_weights(state), model.head_names, model.weights)


def freeze(model: Any) -> None:
    """Keep every parameter of an architecture as it is, but for those of its heads.

    Raises:
        UserError: The architecture has no head.
    """
    frozen = [p for name, p in model.named_parameters() if not model.in_head(name)]
    if len(frozen) == len(list(model.parameters())):
        heads = " or ".join(model.head_names)
        raise UserError(f"{type(model).__name__} has no layer named {heads} to train alone")
    for parameter in frozen:
        parameter.requires_grad_(False)
