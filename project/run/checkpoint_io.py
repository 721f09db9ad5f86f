"""Checkpoint and weights files: written atomically, and read as plain values and tensors only."""

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

log = logging.getLogger(__name__)

PARTS = {"state_dict", "epoch", "global_step"}


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer, with an atomic write and a read that never unpickles objects."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside ``path`` and rename, so that a kill or a full disk leaves the previous file whole.

        The last checkpoint becomes the previous one.

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
            if path.name == "last.ckpt" and path.exists():
                keep(path, path.with_name("previous.ckpt"))
            part.replace(path)
        except (
            OSError,
            RuntimeError,
        ) as error:  # torch's writer turns a full disk into a RuntimeError
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
            raise UserError(
                f"cannot save {path} ({reason}): free space or make it writable, then go on"
            ) from None

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        checkpoint = read_checkpoint(Path(path), map_location or (lambda storage, _: storage))
        self.loaded_step = int(checkpoint["global_step"])
        return checkpoint


def loaded_step(trainer: Any) -> int:
    """The optimiser step of the checkpoint that a Trainer has loaded; its own step if there is none."""
    return int(getattr(trainer.strategy.checkpoint_io, "loaded_step", trainer.global_step))


def keep(path: Path, name: Path) -> None:
    """Let a file have another name, in place of what had it, without a moment in which either is missing."""
    second = name.with_suffix(f".{os.getpid()}.part")
    try:
        second.hardlink_to(path)
    except OSError:  # a file system without hard links
        path.replace(second)
    second.replace(name)


def read_checkpoint(
    path: Path,
    map_location: Any = "cpu",
    advice: str = "give another --checkpoint, such as best, last or a file",
) -> dict[str, Any]:
    """The checkpoint in the file ``path``, without running any code that it may contain.

    Raises:
        UserError: It is missing, truncated, a pickle with objects in it, or no checkpoint of this
            project.
    """
    checkpoint = read_safely(path, "checkpoint", advice, map_location)
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= PARTS:
        raise UserError(
            f"{path} is no checkpoint of this project (it lacks {', '.join(sorted(PARTS))}): {advice}"
        )
    return checkpoint


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in the file ``path``, which holds nothing else or is a checkpoint.

    Raises:
        UserError: It is missing, truncated, a pickle with objects in it, or no state dict.
    """
    advice = "give --model.weights the path of a state dict or checkpoint, or the name of published weights"
    content = read_safely(path, "weights", advice)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if (
        not isinstance(state, dict)
        or not state
        or not all(map(is_plain, state.keys(), state.values()))
    ):
        raise UserError(f"{path} is no state dict (names with a tensor each): {advice}")
    return state


def is_plain(name: object, tensor: object) -> bool:
    """Whether an entry of a state dict can be copied into a module."""
    dense = isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_meta
    return isinstance(name, str) and dense


def read_safely(path: Path, what: str, advice: str, map_location: Any = "cpu") -> Any:
    """The plain values and tensors in the file ``path``; errors call it ``what`` and end in ``advice``."""
    if not path.is_file():
        raise UserError(f"there is no {what} file {path}: {advice}")
    try:
        check_sums(path)
        return torch.load(path, map_location=map_location, weights_only=True)
    except (
        Exception
    ) as error:  # a damaged file can fail in any part of zip, pickle and tensor reading
        raise UserError(f"cannot read the {what} {path} ({describe(error)}): {advice}") from None


def check_sums(path: Path) -> None:
    """Compare the CRC-32 of every part of a checkpoint, which PyTorch writes and does not look at.

    Raises:
        ValueError: One is wrong.
    """
    if zipfile.is_zipfile(path):  # PyTorch before 1.6 wrote a bare pickle
        with zipfile.ZipFile(path) as archive:
            if bad := archive.testzip():
                raise ValueError(f"its part {bad} is damaged")


def newest_good(paths: list[Path]) -> Path | None:
    """The first of the checkpoints that can be read; damaged ones before it are named. None if there is no file.

    Raises:
        UserError: There are files, and none can be read.
    """
    damage = []
    for path in filter(Path.exists, paths):
        try:
            read_checkpoint(
                path, advice="start a new run, none of this one's checkpoints can be read"
            )
        except UserError as error:
            damage.append(error)
            continue
        if damage:
            log.warning(f"{str(damage[0]).rpartition(': ')[0]}: going on from {path.name} instead")
        return path
    if damage:
        raise damage[0]
    return None


def describe(error: Exception) -> str:
    """Why a checkpoint could not be read."""
    if "weights_only" in str(error).lower():
        return "it is a pickle that holds more than plain values and tensors, and was not loaded"
    return f"truncated or not a checkpoint; {type(error).__name__}"
