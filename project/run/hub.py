"""Weights on the Hugging Face Hub: ``hf:user/name``, or ``hf:user/name@revision``."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from project.errors import UserError

PREFIX = "hf:"
WEIGHTS = "model.safetensors"  # the name of the file in every repository


def is_on_hub(weights: str) -> bool:
    """Whether ``weights`` are those of a repository on the Hub."""
    return weights.startswith(PREFIX)


def import_hub() -> ModuleType:
    """huggingface_hub, which is an extra.

    Raises:
        UserError: It is not installed.
    """
    try:
        import huggingface_hub.errors
        import huggingface_hub.utils
        import safetensors  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'the Hugging Face Hub needs {error.name}: pip install -e ".[hub]"'
        ) from None
    return huggingface_hub


def check_repository(name: str, advice: str) -> None:
    """Raise UserError, which ends in ``advice``, if ``name`` is not of the form user/name."""
    hub, part = import_hub(), r"[\w.-]+"
    try:
        hub.utils.validate_repo_id(name)
    except ValueError:
        part = ""
    if not re.fullmatch(f"{part}/{part}", name):
        raise UserError(f"{name} is no name of a repository on the Hub: {advice}")


@contextmanager
def reaching(what: str, advice: str) -> Iterator[None]:
    """Raise UserError, which ends in ``advice``, if the Hub does not let us do ``what``."""
    hub = import_hub()
    try:
        yield
    except (OSError, ValueError, hub.errors.HTTPError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
        raise UserError(f"cannot {what} ({reason}): {advice}") from None


def download(weights: str) -> Path:
    """The file of ``weights`` on the Hub, which is downloaded once.

    Raises:
        UserError: There is no such repository or file, or the Hub cannot be reached.
    """
    name, _, revision = weights.removeprefix(PREFIX).partition("@")
    check_repository(name, "give --model.weights hf:user/name or hf:user/name@revision")
    advice = (
        "check the name and the connection, and for a private repository sign in with `hf auth "
        "login` or set HF_TOKEN; or give --model.weights the path of a file"
    )
    with reaching(f"download {WEIGHTS} of {name}", advice):
        return Path(import_hub().hf_hub_download(name, WEIGHTS, revision=revision or None))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of safetensors by name.

    Raises:
        UserError: The file is missing or damaged.
    """
    import_hub()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        advice = "give --model.weights another file, or the name of published weights"
        raise UserError(f"cannot read the weights {path} ({error}): {advice}") from None


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata in a file of safetensors; values that are no JSON stay text."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        texts = file.metadata() or {}
    values = {}
    for name, text in texts.items():
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def preprocessing_on_hub(weights: str) -> dict[str, Any]:
    """How the images were made that ``weights`` of this project were trained on.

    Returns:
        The arguments of a dataset of colour images, as those of published weights; nothing for
        weights that do not say it.
    """
    metadata = read_metadata(download(weights))
    if not metadata.keys() >= {"input_shape", "mean", "std"} or metadata["input_shape"][0] != 3:
        return {}
    size = metadata["input_shape"][1]
    return {
        "image_size": size,
        "resize": metadata.get("resize", size),
        "interpolation": metadata.get("interpolation"),
        "mean": tuple(metadata["mean"]),
        "std": tuple(metadata["std"]),
    }
