"""Splits, batches and augmentation, against slow and plain code."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from project.cli import main
from project.data import CIFAR10, CIFAR100, MNIST, Digits, ImageNet
from project.data.augment import Crop, Flip, Rotate, crop, flip, rotate
from project.data.base import identity
from project.data.crops import random_box
from project.data.sampling import EvalBatches, TrainBatches, TrainLoader, derive_seed, stratified_split
from tests.conftest import QUIET


def test_split_is_stratified_seeded_and_whole() -> None:
    y = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)[torch.randperm(1000)]
    rest, held = stratified_split(y, 0.1, seed=0)
    assert Counter(y[held].tolist()) == {0: 50, 1: 30, 2: 20}
    assert torch.equal(torch.cat([rest, held]).sort().values, torch.arange(1000))
    assert torch.equal(held, stratified_split(y, 100, seed=0)[1])
    assert not torch.equal(held, stratified_split(y, 0.1, seed=1)[1])


@pytest.mark.parametrize("size", [0, 0.0, 10, 1.5, -3])
def test_impossible_split_is_refused(size: float) -> None:
    with pytest.raises(ValueError, match="val_size"):
        stratified_split(torch.arange(10), size, seed=0)


def test_digits() -> None:
    train, test = Digits().load(train=True), Digits().load(train=False)
    assert (len(train), len(test)) == (1438, 359)
    shares = [count / 359 for _, count in sorted(Counter(test.y.tolist()).items())]
    assert all(abs(share - 0.1) < 0.004 for share in shares)
    whole = {x.numpy().tobytes() + bytes([y]) for s in (train, test) for x, y in zip(s.x, s.y.tolist(), strict=True)}
    assert len(whole) == 1797  # all different, so the two are disjoint
    pixels = train.x.double() / 255
    assert Digits.mean == (round(float(pixels.mean()), 4),)
    assert Digits.std == (round(float(pixels.std(correction=0)), 4),)


def test_mnist_files(mnist_root: Path) -> None:
    data = MNIST(root=str(mnist_root), download=False)
    data.prepare_data()
    train, test = data.load(train=True), data.load(train=False)
    assert (train.x.shape, train.x.dtype, train.y.dtype) == ((1000, 1, 28, 28), torch.uint8, torch.int64)
    from torchvision.datasets.mnist import read_image_file, read_label_file

    raw = mnist_root / "MNIST" / "raw"
    assert torch.equal(test.x[:, 0], read_image_file(str(raw / "t10k-images-idx3-ubyte")))
    assert torch.equal(test.y, read_label_file(str(raw / "t10k-labels-idx1-ubyte")))


def test_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert MNIST().root == Path("data").absolute()
    monkeypatch.setenv("PROJECT_DATA", str(tmp_path))
    assert MNIST().root == tmp_path
    assert MNIST(root="/x").root == Path("/x")


@pytest.mark.parametrize("world", [1, 2, 4])
def test_global_batches_do_not_depend_on_the_devices(world: int) -> None:
    indices = torch.arange(1003) * 2
    ranks = [TrainBatches(indices, 64, seed=5, rank=rank, world_size=world) for rank in range(world)]
    for batches in ranks:
        batches.set_epoch(3)
    found = [torch.cat(parts) for parts in zip(*ranks, strict=True)]
    alone = TrainBatches(indices, 64, seed=5, rank=0, world_size=1)
    alone.set_epoch(3)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in alone]
    assert len(found) == len(alone) == 15
    assert len(torch.cat(found).unique()) == 15 * 64
    alone.set_epoch(4)
    assert next(iter(alone)).tolist() != found[0].tolist()


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_sample_is_evaluated_once(world: int) -> None:
    indices = torch.arange(1003) + 7
    seen = torch.cat([batch for rank in range(world) for batch in EvalBatches(indices, 64, rank, world)])
    assert torch.equal(seen.sort().values, indices)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_starts_in_mid_epoch(workers: int) -> None:
    data = Digits().load(train=True)

    def loader() -> TrainLoader:
        batches = TrainBatches(torch.arange(len(data)), 100, seed=0, rank=0, world_size=1)
        return TrainLoader(data, batch_sampler=batches, num_workers=workers, collate_fn=lambda batch: batch)

    whole, half = loader(), loader()
    expected = [y.tolist() for _, y in whole]
    iterator = iter(half)
    first = [next(iterator)[1].tolist() for _ in range(5)]
    state = half.state_dict()
    del iterator
    other = loader()
    other.load_state_dict(state)
    assert first + [y.tolist() for _, y in other] == expected
    assert [y.tolist() for _, y in other] == expected  # the next epoch is whole again


def test_seeds_are_unrelated_and_stable() -> None:
    assert derive_seed(0, 1) != derive_seed(1, 0)
    assert len({derive_seed(0, epoch) for epoch in range(1000)}) == 1000
    assert all(0 <= derive_seed(0, epoch) < 2**63 for epoch in range(100))


def test_crop_equals_padding_and_cutting() -> None:
    x = torch.rand(9, 3, 7, 5)
    top, left = torch.tensor([0, 1, 2, 3, 4, 5, 6, 3, 0]), torch.tensor([3, 3, 0, 1, 2, 6, 5, 4, 0])
    moved = crop(x, 3, top, left)
    for i in range(9):
        padded = torch.zeros(3, 13, 11)
        padded[:, 3:10, 3:8] = x[i]
        assert torch.equal(moved[i], padded[:, top[i] : top[i] + 7, left[i] : left[i] + 5])


def test_flip_equals_torchvisions() -> None:
    from torchvision.transforms.v2.functional import horizontal_flip

    x, chosen = torch.rand(4, 3, 6, 5), torch.tensor([True, False, False, True])
    for before, after, turned in zip(x, flip(x, chosen), chosen, strict=True):
        assert torch.equal(after, horizontal_flip(before) if turned else before)


@pytest.mark.parametrize("size", [(9, 9), (12, 7)])
def test_rotate_equals_torchvisions(size: tuple[int, int]) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import rotate as reference

    x, degrees = torch.rand(5, 2, *size), torch.tensor([0.0, 10.0, -25.0, 90.0, 180.0])
    turned = rotate(x, degrees * math.pi / 180)
    for before, after, angle in zip(x, turned, degrees.tolist(), strict=True):
        assert torch.allclose(after, reference(before, angle, InterpolationMode.BILINEAR), atol=1e-4)


@pytest.mark.parametrize("transform", [Flip(), Crop(2), Rotate(30)])
def test_augmentation_differs_between_samples_and_follows_its_seed(transform: object) -> None:
    x, y = torch.rand(1, 1, 8, 8).expand(64, 1, 8, 8), torch.arange(64)
    first, again, other = (transform(x, y, torch.Generator().manual_seed(s))[0] for s in (0, 0, 1))  # type: ignore[operator]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1]) or not torch.equal(first[0], first[2])


def test_crop_is_uniform() -> None:
    """Chi-square over the 25 shifts of up to 2 pixels; 24 degrees of freedom exceed 51.2 once in a thousand draws."""
    x = torch.zeros(5000, 1, 8, 8)
    x[:, :, 4, 4] = 1
    moved = Crop(2)(x, torch.zeros(5000), torch.Generator().manual_seed(0))[0]
    counts = moved.sum((0, 1))[2:7, 2:7].flatten()
    assert float(((counts - 200) ** 2 / 200).sum()) < 51.2


def test_normalised_batches_have_zero_mean_and_unit_variance() -> None:
    data = Digits()
    x = data.load(train=True).x
    normal, _ = data.on_after_batch_transfer((x, torch.zeros(len(x))), 0)
    assert abs(float(normal.mean())) < 1e-3
    assert abs(float(normal.std()) - 1) < 1e-3
    assert torch.allclose(data.displayable(normal), x / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "LA"])
def test_images_of_any_kind_are_read(mode: str, tmp_path: Path) -> None:
    pixels = np.full((20, 30), 255, np.uint8)
    path = tmp_path / f"{mode}.tif"
    Image.fromarray(pixels).convert(mode).save(path)
    assert torch.equal(MNIST().reader()([path]), torch.full((1, 1, 28, 28), 255, dtype=torch.uint8))


def test_cifar_is_read_from_its_published_files(cifar_root: Path, photographs: np.ndarray) -> None:
    for kind, classes in ((CIFAR10, 10), (CIFAR100, 100)):
        data = kind(root=str(cifar_root), download=False)
        data.prepare_data()
        train, test = data.load(train=True), data.load(train=False)
        assert torch.equal(train.x, torch.from_numpy(photographs[:100]))
        assert torch.equal(test.x, torch.from_numpy(photographs[100:]))
        assert train.y.tolist() == [k % classes for k in range(100)]
        assert len(set(data.class_names)) == data.num_classes == classes


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, photographs: np.ndarray) -> Path:
    """A folder like ImageNet's of three classes, with 10 + 4 JPEGs each of 96 x 72 pixels and other shapes."""
    root = tmp_path_factory.mktemp("image folders")
    sizes = [(96, 72), (40, 120), (64, 64)]
    for k, name in enumerate(["n01", "n02", "n03"]):
        for split, start, count in (("train", 0, 10), ("val", 10, 4)):
            (root / split / name).mkdir(parents=True)
            for i in range(start, start + count):
                image = Image.fromarray(photographs[40 * k + i].transpose(1, 2, 0)).resize(sizes[i % 3])
                image.save(root / split / name / f"{i}.JPEG")
    return root


def test_imagenet_fits_tests_and_predicts(fit: Callable, folders: Path) -> None:
    cli = fit(
        "--model=AlexNet", "--model.stem=small", "--model.batch_norm=true", "--data=ImageNet",
        f"--data.root={folders}", "--data.image_size=32", "--data.batch_size=8", "--data.num_workers=1",
        "--trainer.max_epochs=2",
    )  # fmt: skip
    assert (cli.datamodule.num_classes, cli.datamodule.input_shape) == (3, (3, 32, 32))
    assert cli.datamodule.class_names == ["n01", "n02", "n03"]
    assert {"feature_maps.png", "filters.png"} <= {path.name for path in cli.run.figures.iterdir()}
    run = str(cli.run.folder)
    tested = main(["test", "--run", run, *QUIET])
    assert tested is not None
    assert len(tested.datamodule.test_set) == 12
    main(["predict", "--run", run, "--images", str(folders / "val" / "n02"), *QUIET])
    assert len(cli.run.predictions.read_text().splitlines()) == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_imagenet_crops_follow_the_seed_and_not_the_workers(workers: int, folders: Path) -> None:
    data = ImageNet(root=str(folders), image_size=24)
    files = data.load(train=True)
    batches = TrainBatches(torch.arange(30), 10, seed=1, rank=0, world_size=1, size=lambda epoch: 24)

    def epoch(number: int, workers: int) -> list[torch.Tensor]:
        batches.set_epoch(number)
        return [x for x, _ in TrainLoader(files, batch_sampler=batches, num_workers=workers, collate_fn=identity)]

    first, again = epoch(0, 0), epoch(0, workers)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, epoch(1, workers), strict=True))
    halves = [TrainBatches(torch.arange(30), 10, seed=1, rank=r, world_size=2, size=lambda epoch: 24) for r in (0, 1)]
    for whole, left, right in zip(TrainBatches(torch.arange(30), 10, 1, 0, 1, lambda epoch: 24), *halves, strict=True):
        assert torch.equal(whole, torch.cat([left, right]))


def test_crop_boxes_are_distributed_as_torchvisions() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 300, 400)
    reference = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    generator = torch.Generator().manual_seed(0)
    ours = [random_box(300, 400, 0.08, torch.rand(4, 10, generator=generator).tolist()) for _ in range(4000)]
    expected, got = torch.tensor(reference, dtype=torch.float64), torch.tensor(ours, dtype=torch.float64)
    assert torch.allclose(got.mean(0), expected.mean(0), rtol=0.05)
    assert torch.allclose(got.std(0), expected.std(0), rtol=0.05)
    assert torch.allclose(got.amax(0), expected.amax(0), rtol=0.05)
    # No such crop fits into a strip, so it is the largest centre.
    assert random_box(10, 1000, 0.9, torch.rand(4, 10).tolist()) == (0, 493, 10, 13)


def test_imagenet_centres_are_torchvisions(folders: Path) -> None:
    from torchvision.transforms import v2

    path = folders / "train" / "n01" / "0.JPEG"
    reference = v2.Compose([v2.PILToTensor(), v2.Resize(256, antialias=True), v2.CenterCrop(224)])
    with Image.open(path) as image:
        expected = reference(image.convert("RGB"))
    assert float((ImageNet(root=str(folders)).reader()([path])[0].float() - expected.float()).abs().mean()) < 1
