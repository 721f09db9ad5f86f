"""Runs to export, and the truth about what exported files compute."""

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor

from project.cli.main import main
from project.data import ImageDataModule
from project.models import Architecture
from project.run.folder import Run, find_run
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("export")
FORMATS = {"onnx": "model.onnx", "torch_export": "model.pt2"}


def trained(tmp_path: Path, *args: str) -> Run:
    """A run of two steps."""
    steps = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--data.batch_size=32"]
    main(
        [
            "fit",
            *args,
            *steps,
            "--optimizer.lr=0.0003",
            *QUIET,
            "--experiment=short",
            f"--runs_dir={tmp_path}",
        ]
    )
    return find_run(tmp_path / "short")


def compute(path: Path, x: Tensor, sizes: list[int]) -> Tensor:
    """Probabilities of uint8 images by an exported file, in batches of these sizes."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        batches = [
            torch.from_numpy(session.run(["probabilities"], {"images": b.numpy()})[0])
            for b in x.split(sizes)
        ]
    else:
        module = torch.export.load(path).module()
        batches = [module(batch) for batch in x.split(sizes)]
    return torch.cat(batches)


def truth(
    kind: type[Architecture],
    data: type[ImageDataModule],
    run: Run,
    x: Tensor,
    flip_tta: bool = False,
) -> Tensor:
    """Probabilities by the checkpoint, without the config and our normalisation."""
    model = kind.load_from_checkpoint(run.checkpoint("best"), weights_only=True).eval()
    images = (x / 255 - torch.tensor(data.mean)[:, None, None]) / torch.tensor(data.std)[
        :, None, None
    ]
    with torch.no_grad():
        logits = (model(images) + model(images.flip(-1))) / 2 if flip_tta else model(images)
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def check_computes(path: Path, x: Tensor, expected: Tensor, *batches: list[int]) -> None:
    """Assert that a file gives the probabilities of 100 images, in each way to batch them."""
    assert [path] == list(path.parent.iterdir())  # no second file with the weights
    assert len(x) == len(expected) == 100
    assert expected.std(0).max() > 1e-3  # the images matter
    for sizes in batches:
        found = compute(path, x, sizes)
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() <= 1e-4


def metadata(path: Path) -> dict[str, Any]:
    if path.suffix == ".onnx":
        texts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        return {
            k: json.loads(v) if k in ("class_names", "input_shape", "step") else v
            for k, v in texts.items()
        }
    content = {"metadata.json": ""}
    torch.export.load(path, extra_files=content)
    return json.loads(content["metadata.json"])
