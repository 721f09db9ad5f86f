"""Weights to start from: torchvision's published ones, a repository on the Hub, or a file."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from pickle import PickleError

import torch
from torch import Tensor, nn

from project.errors import UserError
from project.models.published import find_published
from project.run.checkpoint_io import describe, read_tensors
from project.run.hub import download, is_on_hub

log = logging.getLogger(__name__)
skipped: ContextVar[bool] = ContextVar("skipped", default=False)


@contextmanager
def skip_pretrained() -> Iterator[None]:
    """Build models without reading their ``weights``: a checkpoint that follows has all of them."""
    token = skipped.set(True)
    try:
        yield
    finally:
        skipped.reset(token)


def pretrained_skipped() -> bool:
    """Whether models are built without reading their ``weights``."""
    return skipped.get()


def is_name(weights: str) -> bool:
    """Whether ``weights`` names published weights, such as IMAGENET1K_V1, and no file."""
    return (
        re.fullmatch(r"(\w+_Weights\.)?[A-Z][A-Z0-9_]*", weights) is not None
        and not Path(weights).exists()
    )


def is_path(weights: str) -> bool:
    """Whether ``weights`` is the path of a file."""
    return not is_name(weights) and not is_on_hub(weights)


def read_weights(weights: str, torchvision_name: str | None, model: str) -> dict[str, Tensor]:
    """The state dict that ``weights`` stands for.

    Args:
        weights: Name in torchvision's weights for `torchvision_name`, ``hf:user/name``, or path of
            a state dict or checkpoint.
        torchvision_name: torchvision's name of the network; None if it has none like it.
        model: What to call the network in errors.

    Raises:
        UserError: There is no such name or file, the file is unsafe or damaged, or the download
            failed.
    """
    if not is_name(weights):
        return read_tensors(download(weights) if is_on_hub(weights) else Path(weights))
    if torchvision_name is None:
        raise UserError(
            f"torchvision publishes no weights for {model}, so there is no {weights}: "
            "give --model.weights the path of a state dict"
        )
    published = find_published(weights, torchvision_name)
    options = {
        "check_hash": True,
        "map_location": "cpu",
        "weights_only": True,
        "progress": sys.stderr.isatty(),
    }
    try:
        return published.get_state_dict(**options)
    except (OSError, RuntimeError, EOFError, PickleError) as error:  # RuntimeError: a wrong hash
        cached = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
        if cached.exists():
            raise UserError(
                f"{cached} is damaged ({describe(error)}): delete it, to download it again"
            ) from None
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"could not download the weights {published.name} from {published.url} ({reason}): "
            "give --model.weights the path of the file"
        ) from None


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], heads: tuple[str, ...], source: str
) -> None:
    """Copy ``state`` into ``model``; a head for other classes stays as it is, with a message.

    The kernels of a first convolution with other input channels are averaged over them, and scaled
    so that an image with the same values in each channel gives the same response.

    Args:
        model: With a state dict like ``state``.
        state: Tensors by name.
        heads: Names of the parts that may differ in shape.
        source: Where ``state`` comes from.

    Raises:
        UserError: ``state`` is of another architecture, or not finite; names the first tensor that
            is.
    """
    first = next(
        (f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None
    )
    fitted, new, notes = {}, set(), []
    for name, need in model.state_dict().items():
        old = state.get(name)
        head = next((head for head in heads if name.startswith(f"{head}.")), None)
        if old is not None and old.shape == need.shape:
            fitted[name] = old
        elif old is not None and name == first and differ_in_channels(old, need):
            fitted[name] = adapt_channels(old, need.shape[1])
            notes.append(f"{name} averaged from {old.shape[1]} to {need.shape[1]} input channels")
        elif head and (old is None or old.shape[1:] == need.shape[1:]):
            fitted[name] = need
            new.add(head)
        elif old is None and name.endswith("num_batches_tracked"):  # older files lack it
            fitted[name] = need
        else:
            there = "absent" if old is None else tuple(old.shape)
            raise incompatible(model, source, name, there, tuple(need.shape))
    for name, old in state.items():
        if name not in fitted and not name.startswith(tuple(f"{head}." for head in heads)):
            raise incompatible(model, source, name, tuple(old.shape), "absent")
    for name, tensor in fitted.items():
        if not tensor.isfinite().all():
            raise UserError(f"the weights {source} cannot be used: {name} holds NaN or infinity")
    ours = model.state_dict()  # which has the versions of layers such as MNASNet's
    ours.update(fitted)
    model.load_state_dict(ours)
    if new:
        notes.append(f"the backbone is kept, new for these classes: {', '.join(sorted(new))}")
    for note in notes:
        log.info(f"weights {source}: {note}")


def incompatible(model: nn.Module, source: str, name: str, old: object, need: object) -> UserError:
    """The error that names the first tensor of another architecture."""
    return UserError(
        f"the weights {source} are of another architecture: {name} is {old} there and {need} in "
        f"this {type(model).__name__}"
    )


def differ_in_channels(old: Tensor, need: Tensor) -> bool:
    """Whether two kernels (C_out, C_in, h, w) are alike but for their input channels."""
    return (
        old.ndim == need.ndim == 4
        and old.shape[:1] + old.shape[2:] == need.shape[:1] + need.shape[2:]
    )


def adapt_channels(kernels: Tensor, channels: int) -> Tensor:
    """Kernels (C_out, C_in, h, w) for other ``channels``: their mean over C_in, the same sum."""
    return kernels.mean(1, keepdim=True).repeat(1, channels, 1, 1) * (kernels.shape[1] / channels)
