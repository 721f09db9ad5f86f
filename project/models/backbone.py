"""`Backbone`: the weights that a network starts from, and the part of it that may be frozen."""

from typing import Any, Self

import lightning as L
import torch
from torch import Tensor, nn

from project.errors import UserError
from project.models.pretrained import (
    is_name,
    load_weights,
    pretrained_skipped,
    read_weights,
    skip_pretrained,
)
from project.models.published import find_published, preprocessing_of


class Backbone(L.LightningModule):
    """A network whose layers before its heads may keep the weights that they start from."""

    head_names: tuple[str, ...] = ("head",)
    weights: str | None
    freeze_backbone: bool

    def initialize(self, torchvision_name: str | None = None) -> None:
        """Load ``weights`` and freeze the backbone: the last line of each subclass's constructor.

        Args:
            torchvision_name: torchvision's name of this network, if it publishes weights for it.
        """
        self.torchvision_name = torchvision_name
        if self.weights and not pretrained_skipped():
            self.load_pretrained(self.weights)
        if self.freeze_backbone:
            freeze(self)
        self.train()
        self.initialized = True

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """``weights`` as they were read, for the names and the image size of this network."""
        return state

    def load_pretrained(self, weights: str) -> None:
        """Load the weights to start from, by their name or path."""
        name, stem = type(self).__name__, self.hparams.get("stem", "imagenet")
        name += "" if stem == "imagenet" else f" with the {stem} stem"
        state = read_weights(weights, self.torchvision_name, name)
        load_weights(self, self.adapt_weights(state), self.head_names, weights)

    def published_state(self) -> dict[str, Tensor]:
        """The state dict by the names of the library that has this network."""
        return self.state_dict()

    @classmethod
    def preprocessing(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a dataset with which the published ``weights`` were evaluated.

        Args:
            arguments: Those of the constructor, but for what comes from the data.

        Returns:
            See `preprocessing_of`; nothing for weights from a file.
        """
        if not is_name(arguments["weights"]):
            return {}
        options = {**arguments, "num_classes": 1000, "input_shape": (3, 224, 224)}
        with skip_pretrained():
            try:
                with torch.device("meta"):  # which costs no memory
                    name = cls(**options).torchvision_name
            except (NotImplementedError, RuntimeError):  # it computes with its tensors
                name = cls(**options).torchvision_name
        return preprocessing_of(find_published(arguments["weights"], name)) if name else {}

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
