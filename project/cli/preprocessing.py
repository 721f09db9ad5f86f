"""How images are resized and normalised, where the model's published weights say it."""

import logging
from collections.abc import Container
from pydoc import locate
from typing import Any

from project.errors import UserError
from project.models import Architecture
from project.run.hub import is_on_hub, preprocessing_on_hub

log = logging.getLogger(__name__)


def follow_weights(config: Any, linked: Container[str]) -> None:
    """Set the data's arguments that were not given to what the model's weights were evaluated with.

    They are image_size, resize, interpolation, mean and std, of data that has such arguments. An
    image_size that was given keeps the weights' ratio of resize to crop.

    Args:
        config: The parsed config of a new run, which is changed.
        linked: Arguments of the model that are keys of their own.

    Raises:
        UserError: There are no such weights, or they want images that the data cannot make.
    """
    kind: Any = locate(config.model.class_path)
    model: Any = config.model.get("init_args") or {}
    data: Any = config.data.get("init_args") or {}
    if "resize" not in data or not model.get("weights") or not issubclass(kind, Architecture):
        return
    given = {name: value for name, value in model.as_dict().items() if name not in linked}
    weights = model.weights
    found = preprocessing_on_hub(weights) if is_on_hub(weights) else kind.preprocessing(given)
    if not found:
        return
    if found["resize"] is None and data.resize is None:
        raise UserError(
            f"the weights {model.weights} see whole images, squashed or padded, and no centre: "
            "give --data.resize the short side that you want instead"
        )
    if data.image_size is not None and found["resize"]:
        found["resize"] = round(data.image_size * found["resize"] / found["image_size"])
    for name, value in found.items():
        if name in data and data[name] is None:
            data[name] = value
    log.info(
        f"as weights {model.weights} expect it: short side {data.resize} ({data.interpolation}), "
        f"crop {data.image_size}, mean {list(data.mean)}, std {list(data.std)}"
    )
