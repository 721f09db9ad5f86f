"""Exported files compute what the checkpoint does, or are not kept."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from project.cli.main import main
from project.commands.export.classifier import Classifier
from project.data import CIFAR10, MNIST, Digits, ImageDataModule
from project.models import MLP, ImageClassifier, LeNet, ResNet
from project.run.folder import Run, find_run
from tests.conftest import QUIET

FORMATS = {"onnx": "model.onnx", "torch_export": "model.pt2"}
Fails = Callable[..., str]


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
    kind: type[ImageClassifier],
    data: type[ImageDataModule],
    run: Run,
    x: Tensor,
    flip_average: bool = False,
) -> Tensor:
    """Probabilities by the checkpoint, without the config and our normalisation."""
    model = kind.load_from_checkpoint(run.checkpoint("best"), weights_only=True).eval()
    images = (x / 255 - torch.tensor(data.mean)[:, None, None]) / torch.tensor(data.std)[
        :, None, None
    ]
    with torch.no_grad():
        logits = (model(images) + model(images.flip(-1))) / 2 if flip_average else model(images)
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def check_computes(path: Path, x: Tensor, expected: Tensor, *batches: list[int]) -> None:
    """That a file gives the probabilities ``expected`` of images ``x``, 100 of both, in each way to batch them."""
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


@pytest.mark.parametrize("name", FORMATS)
def test_lenet(
    name: str, mnist_root: Path, tmp_path: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(
        tmp_path,
        "--model=LeNet",
        "--data=MNIST",
        f"--data.root={mnist_root}",
        "--model.flip_average=true",
    )
    export = ["export", "--run", str(run.folder), "--format", name]
    x = MNIST(root=str(mnist_root)).load(train=False).x[:100]
    expected = truth(LeNet, MNIST, run, x, flip_average=True)
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
    check_computes(path, x, truth(ResNet, CIFAR10, run, x), [1, 7, 64, 28])
    said = metadata(path)
    assert (said["class_names"], said["mode"]) == (list(CIFAR10.class_names), "RGB")


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
        run_copy.config.read_text().replace("weights: null", "weights: /no/such/file.pt")
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


@pytest.mark.parametrize("factor", [0.9, float("nan")])
@pytest.mark.parametrize("name", FORMATS)
def test_a_wrong_file_is_not_kept(
    name: str, factor: float, run_copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda self, images: forward(self, images) * factor)
    path = run_copy.folder / "export" / FORMATS[name]
    path.parent.mkdir()
    path.write_text("of before")
    with pytest.raises(
        RuntimeError, match=r"differ from the checkpoint's by up to .*: it was not kept"
    ):
        main(["export", "--run", str(run_copy.folder), "--format", name])
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "of before"


def test_what_cannot_be_used(
    run_copy: Run, fails: Fails, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export = ["export", "--run", str(run_copy.folder)]
    (tmp_path / "file").touch()
    said = fails(*export, "--output", str(tmp_path / "file" / "model.onnx"))
    assert "cannot write" in said
    assert "give another file as --output" in said
    assert "it is a folder" in fails(*export, "--output", str(tmp_path))
    assert "nowhere.png does not exist" in fails(*export, "--images", "nowhere.png")
    assert "of another model" in fails(*export, "--model.hidden=[3]")
    assert "there is no checkpoint file" in fails(*export, "--checkpoint", "nowhere.ckpt")
    run_copy.checkpoint("best").write_bytes(run_copy.checkpoint("best").read_bytes()[:1000])
    assert "cannot read the checkpoint" in fails(*export)
    # Found before anything is read.
    assert "there is no --format tflite: give onnx or torch_export" in fails(
        *export, "--format", "tflite"
    )
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "--format onnx needs onnxscript: pip install" in fails(*export)
    assert not (run_copy.folder / "export").exists()
