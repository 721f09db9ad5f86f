"""Published datasets that torchvision reads, from small files in its formats."""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets as published

from project import data as datasets
from project import load
from project.cli.main import CLI, main
from tests.conftest import QUIET, slow_but

pytestmark = pytest.mark.needs("torchvision_datasets", "torchvision_photographs")
MLP = ["--model=MLP", "--model.hidden=[8]", "--data.batch_size=8", "--trainer.max_epochs=1"]


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())


def write_mnist(folder: Path, names: tuple[str, str], classes: np.ndarray, seed: int = 0) -> None:
    """Files like MNIST's, 40 images for training and 20 for testing."""
    for k, (name, count) in enumerate(zip(names, (40, 20), strict=True)):
        y = np.resize(classes, count).astype(np.uint8)
        write_idx(folder / f"{name}-images-idx3-ubyte", pixels(count, 28, 28, seed=seed + k))
        write_idx(folder / f"{name}-labels-idx1-ubyte", y)


def fashion(root: Path, patch: pytest.MonkeyPatch) -> None:
    write_mnist(root / "FashionMNIST" / "raw", ("train", "t10k"), np.arange(10))


def kmnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    write_mnist(root / "KMNIST" / "raw", ("train", "t10k"), np.arange(10))


def emnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    for variant, classes in (("balanced", np.arange(47)), ("letters", np.arange(1, 27))):
        names = (f"emnist-{variant}-train", f"emnist-{variant}-test")
        write_mnist(root / "EMNIST" / "raw", names, classes)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def svhn(root: Path, patch: pytest.MonkeyPatch) -> None:
    listed = {}
    for split, count in (("train", 40), ("test", 20)):
        path = root / f"{split}_32x32.mat"
        y = np.resize(np.arange(1, 11), (count, 1)).astype(np.uint8)  # 10 stands for the digit 0
        scipy.io.savemat(path, {"X": pixels(32, 32, 3, count), "y": y})
        listed[split] = ["", path.name, md5(path)]
    patch.setattr(published.SVHN, "split_list", listed)


def stl10(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for split, count in (("train", 40), ("test", 20)):
        (folder / f"{split}_X.bin").write_bytes(pixels(count, 3, 96, 96).tobytes())
        y = np.resize(np.arange(1, 11), count).astype(np.uint8)
        (folder / f"{split}_y.bin").write_bytes(y.tobytes())
        names = (f"{split}_X.bin", f"{split}_y.bin")
        patch.setattr(
            published.STL10, f"{split}_list", [[name, md5(folder / name)] for name in names]
        )
    (folder / "fold_indices.txt").write_text("".join(f"{k} {k + 10}\n" for k in range(10)))


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(20, 24, 3, seed=seed)).save(path, "JPEG")


def imagenette(root: Path, patch: pytest.MonkeyPatch) -> None:
    for k, wnid in enumerate(published.Imagenette._WNID_TO_CLASS):
        for i in range(4):
            photo(root / "imagenette2-160" / "train" / wnid / f"{i}.JPEG", 10 * k + i)
        photo(root / "imagenette2-160" / "val" / wnid / "9.JPEG", 10 * k + 9)


def flowers(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "flowers-102"
    for i in range(1, 41):
        photo(folder / "jpg" / f"image_{i:05d}.jpg", i)
    ids = np.arange(1, 41)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": (ids * 7 - 1) % 102 + 1})
    parts = {"trnid": ids[::2], "valid": ids[1::4], "tstid": ids[3::4]}
    scipy.io.savemat(folder / "setid.mat", parts)
    for name in ("label", "setid"):
        file, _ = published.Flowers102._file_dict[name]
        patch.setitem(published.Flowers102._file_dict, name, (file, md5(folder / file)))


def pets(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "oxford-iiit-pet"
    (folder / "annotations").mkdir(parents=True)
    breeds = [f"breed_{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(37)]
    for split, numbers in (("trainval", (1, 2)), ("test", (3,))):
        lines = []
        for k, breed in enumerate(breeds):
            for i in numbers:
                photo(folder / "images" / f"{breed}_{i}.jpg", 10 * k + i)
                lines.append(f"{breed}_{i} {k + 1} 1 1\n")
        (folder / "annotations" / f"{split}.txt").write_text("".join(lines))


def food(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "food-101"
    (folder / "meta").mkdir(parents=True)
    for split, number in (("train", 1), ("test", 2)):
        listed = {f"dish{k:03d}": [f"dish{k:03d}/{number}"] for k in range(101)}
        for k, [name] in enumerate(listed.values()):
            photo(folder / "images" / f"{name}.jpg", 10 * k + number)
        (folder / "meta" / f"{split}.json").write_text(json.dumps(listed))


SETS: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], dict[str, Any]]] = {
    "FashionMNIST": (fashion, {}),
    "KMNIST": (kmnist, {}),
    "EMNIST": (emnist, {}),
    "SVHN": (svhn, {}),
    "STL10": (stl10, {}),
    "Imagenette": (imagenette, {"size": "160px"}),
    "Flowers102": (flowers, {}),
    "OxfordIIITPet": (pets, {}),
    "Food101": (food, {}),
}
SMALL = ["FashionMNIST", "KMNIST", "EMNIST", "SVHN", "STL10"]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The dataset of a name, with small files in the format that torchvision reads."""

    def run(name: str, **options: Any) -> Any:
        write, usual = SETS[name]
        root = tmp_path / "data"
        if not root.exists():
            root.mkdir()
            write(root, monkeypatch)
        return getattr(datasets, name)(root=str(root), download=False, **usual, **options)

    return run


def whole(data: Any, train: bool) -> list[tuple[np.ndarray, int]]:
    """The samples of torchvision's dataset as arrays (H, W) or (H, W, 3), with their classes."""
    reference = data.published(data.root, **data.split(train))
    return [(np.array(image), int(k)) for image, k in (reference[i] for i in range(len(reference)))]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("train", [True, False])
def test_images_in_memory_are_torchvisions(name: str, train: bool, make: Callable) -> None:
    data = make(name)
    ours = data.load(train)
    expected = whole(data, train)
    assert (len(ours), ours.x.dtype, ours.y.dtype) == (len(expected), torch.uint8, torch.int64)
    assert tuple(ours.x.shape[1:]) == data.input_shape
    for x, k, (image, label) in zip(ours.x.numpy(), ours.y.tolist(), expected, strict=True):
        image = image.T if name == "EMNIST" else image  # published transposed
        np.testing.assert_array_equal(x.transpose(1, 2, 0).squeeze(), image)
        assert k == label
    assert len(data.class_names) == data.num_classes


@pytest.mark.parametrize("name", sorted(SETS.keys() - {*SMALL}))
def test_files_are_torchvisions(name: str, make: Callable) -> None:
    data = make(name, image_size=16)
    data.setup("fit")
    data.setup("test")
    for train, images in ((True, data.train_set), (False, data.test_set)):
        if name == "Flowers102" and train:
            parts = [data.published(data.root, split=split) for split in ("train", "val")]
            expected = [(np.array(x), k) for part in parts for x, k in part]
        else:
            expected = whole(data, train)
        assert len(images) == len(expected)
        for i in range(0, len(images), 5):
            with Image.open(images.files.path(i)) as image:
                np.testing.assert_array_equal(np.array(image.convert("RGB")), expected[i][0])
            assert int(images.y[i]) == expected[i][1]
    assert len(data.class_names) == data.num_classes
    x, _ = data.train_set.__getitems__(torch.tensor([[0, 3, 16], [1, 4, 16]]))
    assert x.shape == (2, 3, 16, 16)


def test_flowers_are_validated_on_the_published_set(make: Callable) -> None:
    data = make("Flowers102", image_size=16)
    data.setup("fit")
    sizes = [len(published.Flowers102(data.root, split=split)) for split in ("train", "val")]
    assert [len(data.train_indices), len(data.val_indices)] == sizes == [20, 10]
    assert int(data.val_indices.min()) == 20
    folds = make("Flowers102", image_size=16, fold=0, num_folds=3)
    folds.setup("fit")
    assert len(folds.val_indices) == 10
    assert int(folds.val_indices.min()) < 20


def test_letters_and_folds(make: Callable, tmp_path: Path) -> None:
    data = make("EMNIST", variant="letters")
    assert "".join(data.class_names) == "abcdefghijklmnopqrstuvwxyz"
    assert data.load(train=True).y.tolist() == [k % 26 for k in range(40)]
    assert data.metadata({"variant": "letters"}) == (26, (1, 28, 28))


def test_folds_of_stl10(make: Callable) -> None:
    data = make("STL10", train_fold=3)
    assert torch.equal(data.load(train=True).x, make("STL10").load(train=True).x[[3, 13]])
    assert len(data.load(train=False)) == 20


@pytest.mark.parametrize("name", slow_but(["FashionMNIST"], ["FashionMNIST", "OxfordIIITPet"]))
def test_statistics_and_names_are_measured_once_and_kept(
    name: str, make: Callable, fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(name)
    options = [] if name in SMALL else ["--data.image_size=16"]
    cli = fit(f"--data={name}", *MLP, f"--data.root={data.root}", "--data.download=false", *options)
    kept = cli.saved_config()["data"]["init_args"]
    if name in SMALL:
        x = data.load(train=True).x.double() / 255
        measured = [[round(float(v), 4)] for v in (x.mean(), x.std(correction=0))]
        assert [kept["mean"], kept["std"]] == measured
        file = data.root / "FashionMNIST-statistics.json"
        assert json.loads(file.read_text()) == {"mean": measured[0], "std": measured[1]}
        monkeypatch.delattr("project.data.published.statistics")
    else:
        assert kept["classes"][0] == "Breed Aa"
    tested = main(["test", *QUIET, f"--run={cli.run.folder}"])
    assert tested is not None
    os.rename(data.root, f"{data.root}-elsewhere")  # to predict needs no data
    image = pixels(28, 28) if name in SMALL else pixels(20, 20, 3)
    [prediction] = load(cli.run.folder).predict([image])
    assert {*prediction.names} == {*tested.datamodule.class_names}


def test_missing_and_damaged_files(make: Callable, fails: Callable[..., str]) -> None:
    data = make("FashionMNIST")
    args = ["fit", *QUIET, "--data=FashionMNIST", *MLP, "--data.download=false"]
    said = fails(*args, "--data.root=nowhere")
    assert "FashionMNIST is not in" in said
    assert "FashionMNIST/raw/train-images-idx3-ubyte" in said
    path = data.root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    assert "is damaged" in fails(*args, f"--data.root={data.root}")
    said = fails(*args, "--data.mean=[0.5]")
    assert "belong together" in said
