"""What a file with a run's network says about itself: how to use it, and where it comes from."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from project.data import ImageDataModule
from project.run.folder import Run


def metadata_of(
    run: Run, checkpoint: Path, step: int, model: str, data: ImageDataModule
) -> dict[str, Any]:
    """The metadata in an exported or pushed file, of plain values.

    Args:
        run: The run.
        checkpoint: The file that the weights come from.
        step: Optimiser steps before it was saved.
        model: Path of the model's class.
        data: The dataset that it was trained on.
    """
    path = run.environment
    crops = getattr(data, "crops", None)  # of data whose images are resized before
    environment = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    metadata = {
        "class_names": list(data.class_names),
        "input_shape": list(data.input_shape),
        "mode": {1: "L", 3: "RGB"}.get(data.input_shape[0]),  # as Pillow calls it
        "resize": crops and crops.short_side,
        "interpolation": crops and crops.interpolation,
        "model": model,
        "run": f"{run.experiment}/{run.id}",
        "checkpoint": checkpoint.name,
        "step": step,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),  # of the checkpoint
        "commit": (environment.get("git") or {}).get("commit"),
        "torch": torch.__version__,
    }
    return {name: value for name, value in metadata.items() if value is not None}
