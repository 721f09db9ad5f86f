"""The network that an exported file computes, with the normalisation of its images."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from project.data import ImageDataModule
from project.models import Architecture
from project.run.folder import Run


class Classifier(nn.Module):
    """Class probabilities (N, num_classes) of uint8 images (N, C, H, W).

    Args:
        model: A classifier of normalised images; it is put into eval mode and no longer trained.
        data: The dataset that it was trained on, which has the statistics of the normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Architecture, data: ImageDataModule) -> None:
        super().__init__()
        self.model = model
        for name, value in zip(("mean", "std"), data.statistics(torch.device("cpu")), strict=True):
            self.register_buffer(name, value.clone())
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.model.eval_outputs((images.float() - self.mean) / self.std)
        return self.model.objective.predictions(outputs)


def trace(classifier: Classifier, x: Tensor) -> ExportedProgram:
    """The operations of a classifier on images like ``x`` (M, C, H, W), for batches of any size."""
    example = x[:1].repeat(2, 1, 1, 1)  # a size of one would be taken for a constant
    shapes = {"images": {0: Dim("batch")}}
    program = torch.export.export(classifier, (example,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program


def metadata_of(
    run: Run, checkpoint: Path, step: int, model: str, data: ImageDataModule
) -> dict[str, Any]:
    """The metadata in an exported file: how to use it, and where it comes from."""
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
