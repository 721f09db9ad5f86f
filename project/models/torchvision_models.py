"""Every classification network of torchvision."""

import re
from difflib import get_close_matches
from typing import Any, ClassVar, TypeGuard

from torch import Tensor, nn

from project.errors import UserError
from project.models.adapter import Adapter, replace_first_convolution
from project.models.checks import check_pixels
from project.models.pretrained import is_name
from project.models.published import find_published, preprocessing_of


class Torchvision(Adapter):
    """Any classification network of torchvision by its name: ``--model.name swin_t``.

    Weights are published ones by name, or a file. Without them, a first convolution for other
    than three channels is drawn with the standard deviation of the one that it replaces. Auxiliary
    heads take part in the training loss alone.

    Args:
        name: torchvision's name of the network, such as ``swin_t``.
        options: Further arguments of torchvision's function of that name, such as
            ``stochastic_depth_prob``.
        **kwargs: The arguments of `Architecture`.
    """

    # Auxiliary heads, and the factor of their losses: Szegedy et al., 2015, section 5; Inception v3
    # as in TF-Slim (github.com/tensorflow/models, slim/train_image_classifier.py).
    aux_heads: ClassVar[dict[str, tuple[str, ...]]] = {
        "googlenet": ("aux1", "aux2"),
        "inception_v3": ("AuxLogits",),
    }
    aux_factors: ClassVar[dict[str, float]] = {"googlenet": 0.3, "inception_v3": 0.4}

    def __init__(self, name: str, options: dict[str, Any] | None = None, **kwargs) -> None:
        super().__init__(name, options, **kwargs)
        check_name(name)
        check_pixels(self, 1)
        channels = self.input_shape[0]
        arguments = {**arguments_for(self), **self.options}
        if arguments.get("transform_input") and channels != 3:
            raise UserError(f"{name} transforms images of 3 channels, not {channels}")
        self.network = new_network(name, self.num_classes, arguments)
        layers = [n for n, m in self.network.named_modules() if isinstance(m, LAYERS)]
        heads = (layers[-1], *self.aux_heads.get(name, ()))
        self.head_names = tuple(f"network.{head}" for head in heads)
        replace_first_convolution(self.network, channels)
        self.check_images()
        self.initialize(torchvision_name=name)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W), without those of auxiliary heads."""
        outputs = self.network(x)
        return outputs if isinstance(outputs, Tensor) else outputs.logits

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        outputs, criterion = self.network(x), self.objective.training_criterion
        if isinstance(outputs, Tensor):
            return criterion(outputs, y), outputs
        main, *aux = (criterion(part, y) for part in outputs if part is not None)
        return main + self.aux_factors[self.name] * sum(aux), outputs.logits

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state dict with today's names, for published DenseNets have those of earlier ones."""
        older = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
        return {older.sub(r"\1\2.", name): tensor for name, tensor in state.items()}

    @classmethod
    def preprocessing(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        name, weights = arguments["name"], arguments["weights"]
        check_name(name)
        return preprocessing_of(find_published(weights, name)) if names(weights) else {}


LAYERS = (nn.Linear, nn.Conv2d)


def check_name(name: str) -> None:
    """Raise UserError if torchvision has no classification network of this name."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = ", ".join(get_close_matches(name, known) or known)
        raise UserError(
            f"torchvision has no classification network {name}: give --model.name, such as {near}"
        )


def arguments_for(model: Torchvision) -> dict[str, Any]:
    """The arguments with which torchvision makes a network for a model's images and weights.

    Raises:
        UserError: The network or its weights need images of another size, or weights from a file
            leave open which images they expect.
    """
    name, weights, (height, width) = model.name, model.weights, model.input_shape[1:]
    kind, shown = name.split("_")[0], f"{height}x{width}"
    published = preprocessing_of(find_published(weights, name)) if names(weights) else {}
    size = published.get("image_size")
    if kind == "vit" and (height != width or size not in (None, height)):
        what = f"the weights {weights} of {name} need" if size else f"{name} needs"
        square = f"{size}x{size}" if size else "square"
        raise UserError(
            f"{what} {square} images, not {shown} pixels: choose another --data.image_size, "
            "--model.name or --model.weights"
        )
    if kind in ("vit", "maxvit"):
        return {"image_size": height} if kind == "vit" else {"input_size": (height, width)}
    if name not in model.aux_factors:
        return {}
    if weights and not published and "transform_input" not in model.options:
        raise UserError(
            f"weights of {name} from a file need --model.options.transform_input: true if they "
            "expect images in [-1, 1], as torchvision's published ones do, else false"
        )
    aux_logits = model.options.get("aux_logits", True)
    if name == "inception_v3" and aux_logits and min(height, width) < 299:
        raise UserError(
            f"the auxiliary head of {name} needs 299x299 pixels in training, not {shown}: give "
            "--model.options.aux_logits false"
        )
    return {"init_weights": True, "transform_input": bool(published)}


def names(weights: str | None) -> TypeGuard[str]:
    """Whether ``weights`` are published ones by name."""
    return weights is not None and is_name(weights)


def new_network(name: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    """A network of torchvision with random weights.

    Raises:
        UserError: It does not take these arguments, of which some say the size of images.
    """
    from torchvision.models import get_model

    try:
        return get_model(name, num_classes=num_classes, **arguments)
    except (AssertionError, TypeError, ValueError) as error:
        given = ", ".join(f"{key} {value}" for key, value in arguments.items())
        raise UserError(
            f"torchvision makes no {name} with {given} ({' '.join(str(error).split())}): change "
            "--model.options, or the size of the images"
        ) from None
