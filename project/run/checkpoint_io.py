"""Files of checkpoints and weights, written atomically and read without running code in them."""

import contextlib
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from project.errors import UserError
from project.run.checkpoint_files import put
from project.run.hub import read_safetensors
from project.run.sharded_checkpoint import files_of, joined

log = logging.getLogger(__name__)
PARTS = {"state_dict", "epoch", "global_step"}


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's TorchCheckpointIO, but it writes atomically and never unpickles objects."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint atomically, and keep the old ``last.ckpt`` as ``previous.ckpt``.

        Raises:
            UserError: The folder cannot be written to, or its disk is full.
        """
        path = Path(path)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            put(part, path)
        except (OSError, RuntimeError) as error:  # the latter is PyTorch's for a full disk
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
            advice = "free space or make it writable, then go on"
            raise UserError(f"cannot save {path} ({reason}): {advice}") from None

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        checkpoint = read_checkpoint(Path(path), map_location or (lambda storage, _: storage))
        self.loaded_step = int(checkpoint["global_step"])
        return checkpoint


def loaded_step(trainer: Any) -> int:
    """The optimiser step of the checkpoint that a Trainer has loaded, or else its own step."""
    return int(getattr(trainer.strategy.checkpoint_io, "loaded_step", trainer.global_step))


def read_checkpoint(
    path: Path,
    map_location: Any = "cpu",
    advice: str = "give another --checkpoint, such as best, last or a file",
) -> dict[str, Any]:
    """Read a checkpoint without running any code that it may contain.

    Raises:
        UserError: It is missing, truncated, a pickle of objects, or no checkpoint of this project.
    """
    checkpoint = read_safely(path, "checkpoint", advice, map_location)
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= PARTS:
        lacks = f"it lacks {', '.join(sorted(PARTS))}"
        raise UserError(f"{path} is no checkpoint of this project ({lacks}): {advice}")
    return checkpoint


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file that holds nothing else or is a checkpoint.

    Raises:
        UserError: It is missing, truncated, a pickle of objects, or no state dict.
    """
    advice = "give --model.weights a state dict, a checkpoint or the name of published weights"
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    content = read_safely(path, "weights", advice)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(map(is_plain, state, state.values())):
        raise UserError(f"{path} is no state dict (names with a tensor each): {advice}")
    return state


def is_plain(name: object, tensor: object) -> bool:
    """Whether an entry of a state dict can be copied into a module."""
    dense = isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_meta
    return isinstance(name, str) and dense


def read_safely(path: Path, what: str, advice: str, map_location: Any = "cpu") -> Any:
    """Read plain values and tensors; errors call the file ``what`` and end in ``advice``."""
    if shards := files_of(path):
        return joined([read_safely(shard, what, advice, map_location) for shard in shards])
    if not path.is_file():
        raise UserError(f"there is no {what} file {path}: {advice}")
    try:
        compare_checksums(path)
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged file may fail anywhere in zip, pickle and tensors
        raise UserError(f"cannot read the {what} {path} ({describe(error)}): {advice}") from None


def compare_checksums(path: Path) -> None:
    """Raise ValueError if the CRC-32 of a part is wrong, which PyTorch never compares."""
    if zipfile.is_zipfile(path):  # PyTorch before 1.6 wrote a bare pickle
        with zipfile.ZipFile(path) as archive:
            if bad := archive.testzip():
                raise ValueError(f"its part {bad} is damaged")


def describe(error: Exception) -> str:
    """Why a file could not be read."""
    if "weights_only" in str(error).lower():
        return "it is a pickle that holds more than plain values and tensors, and was not loaded"
    return f"truncated or not a checkpoint; {type(error).__name__}"


def newest_good(paths: list[Path]) -> Path | None:
    """The first checkpoint that can be read, after a warning of damaged ones; None without files.

    Raises:
        UserError: There are files, but none can be read.
    """
    damage: list[UserError] = []
    for path in filter(Path.exists, paths):
        try:
            read_checkpoint(path, advice="start a new run, no checkpoint of this one can be read")
        except UserError as error:
            damage.append(error)
        else:
            if damage:
                said = str(damage[0]).rpartition(": ")[0]
                log.warning(f"{said}: going on from {path.name} instead")
            return path
    if damage:
        raise damage[0]
    return None
