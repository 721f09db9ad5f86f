"""Every network of timm, PyTorch Image Models (Wightman, 2019)."""

import math
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from torch import nn

from project.errors import UserError
from project.models.adapter import Adapter
from project.models.checks import check_pixels
from project.models.pretrained import is_name, pretrained_skipped


class Timm(Adapter):
    """Any network of timm by its name: ``--model.name vit_small_patch16_224``.

    Published weights are ``--model.weights DEFAULT``; the tag in a name such as
    ``resnet50.a1_in1k`` chooses among several. timm makes their head and their first convolution
    fit the data.

    Args:
        name: timm's name of the network.
        options: Further arguments of ``timm.create_model``, such as ``drop_path_rate``.
        **kwargs: The arguments of `Architecture`.
    """

    def __init__(self, name: str, options: dict[str, Any] | None = None, **kwargs) -> None:
        super().__init__(name, options, **kwargs)
        check_pixels(self, 1)
        self.network = self.new_network(
            pretrained=self.weights is not None
            and is_name(self.weights)
            and not pretrained_skipped()
        )
        last = self.network.get_classifier()  # type: ignore[operator]
        heads = last if isinstance(last, tuple) else (last,)  # distilled networks have two
        layers = {module: name for name, module in self.named_modules()}
        self.head_names = tuple(layers[head] for head in heads)
        self.check_images()
        self.initialize()

    def new_network(self, pretrained: bool) -> nn.Module:
        """The network for the images and classes of the data.

        Raises:
            UserError: There is no such network, it needs other images, or its weights cannot be
                had.
        """
        timm, name, (channels, *size) = import_timm(), self.name, self.input_shape
        published, shown = published_config(name), "x".join(map(str, size))
        if pretrained:
            check_weights(name, self.weights or "")
        arguments = {"num_classes": self.num_classes, "in_chans": channels, **self.options}
        if published.fixed_input_size and list(published.input_size[1:]) != size:
            arguments.setdefault("img_size", tuple(size))
        try:
            return timm.create_model(name, pretrained=pretrained, **arguments)
        except (AssertionError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if pretrained and isinstance(error, OSError | RuntimeError):
                raise UserError(
                    f"the weights {self.weights} of {name} cannot be loaded ({reason}): check the "
                    "connection, or give --model.weights the path of a file"
                ) from None
            raise UserError(
                f"timm makes no {name} for images of {shown} pixels with the options "
                f"{self.options} ({reason}): change --model.options, or the size of the images"
            ) from None

    def load_pretrained(self, weights: str) -> None:
        if not is_name(weights):  # else timm has loaded them
            super().load_pretrained(weights)

    @classmethod
    def preprocessing(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        name, weights = arguments["name"], arguments["weights"]
        if not is_name(weights):
            return {}
        check_weights(name, weights)
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(None, pretrained_cfg=published_config(name).to_dict())
        side = min(config["input_size"][1:])
        centre = config["crop_mode"] == "center"
        return {
            "image_size": side,
            # Others squash images, or pad them.
            "resize": math.floor(side / config["crop_pct"]) if centre else None,
            "interpolation": config["interpolation"],
            "mean": tuple(config["mean"]),
            "std": tuple(config["std"]),
        }


def import_timm() -> ModuleType:
    """timm, which is an extra.

    Raises:
        UserError: It is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError(f'Timm needs timm ({error}): pip install -e ".[timm]"') from None
    return timm


def published_config(name: str) -> Any:
    """The ``PretrainedCfg`` of a network, which says what its weights expect.

    Raises:
        UserError: timm has no network of this name, or no weights with its tag.
    """
    timm = import_timm()
    known = timm.list_models(pretrained=False) + timm.list_models(pretrained=True)
    if name not in known:
        near = ", ".join(get_close_matches(name, known) or ["resnet50", "vit_small_patch16_224"])
        raise UserError(f"timm has no network {name}: give --model.name, such as {near}")
    return timm.get_pretrained_cfg(name)


def check_weights(name: str, weights: str) -> None:
    """Raise UserError if a network of timm has no such published weights."""
    if weights != "DEFAULT":
        raise UserError(
            f"there are no weights {weights} of {name}: give DEFAULT, with timm's tag in "
            "--model.name, such as resnet50.a1_in1k, or a path"
        )
    if not (import_timm().is_model_pretrained(name) and published_config(name).has_weights):
        raise UserError(
            f"timm publishes no weights for {name}, so there is no DEFAULT: give --model.weights "
            "the path of a state dict"
        )
