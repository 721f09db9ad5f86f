"""torchvision's published weights: finding them by name, and the images that they expect."""

from typing import TYPE_CHECKING, Any

from project.errors import UserError

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def find_published(weights: str, network: str) -> "WeightsEnum":
    """The published weights of a network of torchvision.

    Args:
        weights: A name such as ``DEFAULT``, ``IMAGENET1K_V2`` or ``ResNet50_Weights.DEFAULT``.
        network: torchvision's name of the network.

    Raises:
        UserError: There are no such weights.
    """
    from torchvision.models import get_model_weights

    known = get_model_weights(network)
    name = weights.rpartition(".")[2]
    if weights not in (name, f"{known.__name__}.{name}") or name not in known.__members__:
        names = ", ".join(known.__members__)
        raise UserError(
            f"there are no weights {weights} of {network}: give one of {names}, or a path"
        )
    return known[name]


def preprocessing_of(weights: "WeightsEnum") -> dict[str, Any]:
    """What ``weights.transforms()`` does to an image, as arguments of a dataset.

    Returns:
        The short side that an image is resized to, how, the side of its centre that is cropped,
        and mean and standard deviation of pixels in [0, 1].
    """
    preset = weights.transforms()
    return {
        "image_size": preset.crop_size[0],
        "resize": preset.resize_size[0],
        "interpolation": preset.interpolation.value,
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }
