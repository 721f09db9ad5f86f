"""Exported files compute what the checkpoint does."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from project import data, models
from project.cli.main import main
from project.data import Digits
from project.models import MLP
from project.run.folder import Run
from tests.exports import FORMATS, check_computes, metadata, trained, truth

pytestmark = pytest.mark.needs("export")
Fails = Callable[..., str]


@pytest.mark.needs("LeNet", "mnist")
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_lenet(
    name: str, mnist_root: Path, tmp_path: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(
        tmp_path,
        "--model=LeNet",
        "--data=MNIST",
        f"--data.root={mnist_root}",
        "--model.flip_tta=true",
    )
    export = ["export", "--run", str(run.folder), "--format", name]
    x = data.MNIST(root=str(mnist_root)).load(train=False).x[:100]
    expected = truth(models.LeNet, data.MNIST, run, x, flip_tta=True)
    main(export)
    check_computes(
        run.folder / "export" / FORMATS[name], x, expected, [1] * 100, [7] * 14 + [2], [64, 36]
    )
    assert "100 images in batches of 1, 7 and 64" in capsys.readouterr().out

    export.append(f"--data.root={tmp_path}")  # where the dataset is not
    assert "give --images" in fails(*export)
    Image.fromarray(x[0, 0].numpy()).resize((50, 60)).save(tmp_path / "digit.png")
    output = tmp_path / "new" / "folder" / FORMATS[name]
    main([*export, "--images", str(tmp_path / "digit.png"), "--output", str(output)])
    assert "1 images in batches" in capsys.readouterr().out
    check_computes(output, x, expected, [100])


@pytest.mark.needs("ResNet", "cifar")
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_resnet18(name: str, cifar_root: Path, photographs: np.ndarray, tmp_path: Path) -> None:
    run = trained(
        tmp_path,
        "--model=ResNet",
        "--model.stem=small",
        "--data=CIFAR10",
        f"--data.root={cifar_root}",
    )
    x = torch.from_numpy(photographs[:100].copy())
    main(["export", "--run", str(run.folder), "--format", name])
    path = run.folder / "export" / FORMATS[name]
    check_computes(path, x, truth(models.ResNet, data.CIFAR10, run, x), [1, 7, 64, 28])
    said = metadata(path)
    assert (said["class_names"], said["mode"]) == (list(data.CIFAR10.class_names), "RGB")


@pytest.mark.parametrize("name", FORMATS)
def test_metadata(name: str, run_copy: Run) -> None:
    main(["export", "--run", str(run_copy.folder), "--checkpoint", "last", "--format", name])
    path = run_copy.folder / "export" / FORMATS[name]
    assert metadata(path) == {
        "class_names": list("0123456789"),
        "input_shape": [1, 8, 8],
        "mode": "L",
        "model": "project.models.MLP",
        "run": f"digits/{run_copy.id}",
        "checkpoint": "last.ckpt",
        "step": 40,
        "sha256": hashlib.sha256(run_copy.checkpoint("last").read_bytes()).hexdigest(),
        "commit": json.loads(run_copy.environment.read_text())["git"]["commit"],
        "torch": torch.__version__,
    }
    # Where the code lay is nobody's business.
    assert str(Path(__file__).parent.parent).encode() not in path.read_bytes()


@pytest.mark.slow
def test_onnx_names_and_shapes(run_copy: Run) -> None:
    main(["export", "--run", str(run_copy.folder)])
    session = onnxruntime.InferenceSession(run_copy.folder / "export" / "model.onnx")
    [images], [probabilities] = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape, images.type) == (
        "images",
        ["batch", 1, 8, 8],
        "tensor(uint8)",
    )
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 10])


def test_without_the_dataset_and_what_training_began_from(
    run_copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_copy.config.write_text(
        run_copy.config.read_text().replace("    weights: null", "    weights: /no/such/file.pt")
    )
    monkeypatch.setattr(Digits, "load", None)
    folder = run_copy.folder / "pictures"
    folder.mkdir()
    x = torch.from_numpy(load_digits().images[:100] * (255 / 16)).round().to(torch.uint8)[:, None]
    for i in range(5):
        Image.fromarray(x[i, 0].numpy()).save(folder / f"{i}.png")
    main(["export", "--run", str(run_copy.folder), "--images", str(folder)])
    check_computes(
        run_copy.folder / "export" / "model.onnx",
        x,
        truth(MLP, Digits, run_copy, x),
        [1, 7, 64, 28],
    )
