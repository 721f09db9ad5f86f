"""Splits, batches and augmentation, against slow and plain code."""

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from project import data as datasets
from project.cli.main import CLI
from project.data import Digits
from project.data.loaders import TrainLoader
from project.data.sampler import EvalBatches, TrainBatches
from project.data.splits import stratified_fold, stratified_split
from project.run.seeds import derive_seed
from tests.conftest import Python2Pickler


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
    fractions = [count / 359 for _, count in sorted(Counter(test.y.tolist()).items())]
    assert all(abs(fraction - 0.1) < 0.004 for fraction in fractions)
    whole = {
        x.numpy().tobytes() + bytes([y])
        for s in (train, test)
        for x, y in zip(s.x, s.y.tolist(), strict=True)
    }
    assert len(whole) == 1797  # all different, so the two are disjoint
    pixels = train.x.double() / 255
    assert Digits.mean == (round(float(pixels.mean()), 4),)
    assert Digits.std == (round(float(pixels.std(correction=0)), 4),)


@pytest.mark.needs("mnist")
def test_mnist_files(mnist_root: Path) -> None:
    data = datasets.MNIST(root=str(mnist_root), download=False)
    data.prepare_data()
    train, test = data.load(train=True), data.load(train=False)
    assert (train.x.shape, train.x.dtype, train.y.dtype) == (
        (1000, 1, 28, 28),
        torch.uint8,
        torch.int64,
    )
    from torchvision.datasets.mnist import read_image_file, read_label_file

    raw = mnist_root / "MNIST" / "raw"
    assert torch.equal(test.x[:, 0], read_image_file(str(raw / "t10k-images-idx3-ubyte")))
    assert torch.equal(test.y, read_label_file(str(raw / "t10k-labels-idx1-ubyte")))


@pytest.mark.needs("mnist")
def test_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert datasets.MNIST().root == Path("data").absolute()
    monkeypatch.setenv("PROJECT_DATA", str(tmp_path))
    assert datasets.MNIST().root == tmp_path
    assert datasets.MNIST(root="/x").root == Path("/x")


@pytest.mark.parametrize("world", [1, 2, 4])
def test_global_batches_do_not_depend_on_the_devices(world: int) -> None:
    indices = torch.arange(1003) * 2
    ranks = [
        TrainBatches(indices, 64, seed=5, rank=rank, world_size=world) for rank in range(world)
    ]
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


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (4, 2)])
@pytest.mark.parametrize("repeats", [2, 3, 64])
def test_repeated_samples(world: int, accumulate: int, repeats: int) -> None:
    """A batch holds each of its images as often, next to others; the ranks' parts make it up."""
    indices = torch.arange(1003) * 2
    ranks = [
        TrainBatches(indices, 64, 5, rank, world, accumulate, repeats=repeats)
        for rank in range(world)
    ]
    parts = [torch.cat(parts) for parts in zip(*ranks, strict=True)]
    found = [torch.cat(parts[i : i + accumulate]) for i in range(0, len(parts), accumulate)]
    whole = TrainBatches(indices, 64, seed=5, rank=0, world_size=1, repeats=repeats)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in whole]
    assert len(found) == len(whole) == 15
    plain = torch.cat(list(TrainBatches(indices, 64, seed=5, rank=0, world_size=1)))
    distinct = -(-64 // repeats)
    for i, batch in enumerate(found):
        values, counts = batch.unique(return_counts=True)
        assert torch.equal(values, plain[i * distinct :][:distinct].sort().values)
        assert int(counts.max()) == repeats
        assert int(counts.sum()) == 64
        assert repeats == 64 or not (batch == batch.roll(1)).any()  # mixing takes the one before
    whole.start = 100  # as after a checkpoint of a run with batches of another size
    assert len(list(whole)) == whole.batches_of(1003 - 100)


def test_repeated_images_are_cropped_differently() -> None:
    rows = next(iter(TrainBatches(torch.arange(30), 10, 1, 0, 1, size=lambda _: 24, repeats=5)))
    assert len(rows[:, 0].unique()) == 2
    assert len(rows[:, 1].unique()) == 10


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_sample_is_evaluated_once(world: int) -> None:
    indices = torch.arange(1003) + 7
    seen = torch.cat(
        [batch for rank in range(world) for batch in EvalBatches(indices, 64, rank, world)]
    )
    assert torch.equal(seen.sort().values, indices)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_starts_in_mid_epoch(workers: int) -> None:
    data = Digits().load(train=True)

    def loader() -> TrainLoader:
        batches = TrainBatches(torch.arange(len(data)), 100, seed=0, rank=0, world_size=1)
        return TrainLoader(
            data, batch_sampler=batches, num_workers=workers, collate_fn=lambda batch: batch
        )

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


def test_normalised_batches_have_zero_mean_and_unit_variance() -> None:
    data = Digits()
    x = data.load(train=True).x
    normal, _ = data.on_after_batch_transfer((x, torch.zeros(len(x))), 0)
    assert abs(float(normal.mean())) < 1e-3
    assert abs(float(normal.std()) - 1) < 1e-3
    assert torch.allclose(data.displayable(normal), x / 255, atol=1e-6)


@pytest.mark.needs("mnist")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "LA"])
def test_images_of_any_kind_are_read(mode: str, tmp_path: Path) -> None:
    pixels = np.full((20, 30), 255, np.uint8)
    path = tmp_path / f"{mode}.tif"
    Image.fromarray(pixels).convert(mode).save(path)
    assert torch.equal(
        datasets.MNIST().decoder()(path.read_bytes()),
        torch.full((1, 28, 28), 255, dtype=torch.uint8),
    )


@pytest.mark.needs("cifar")
def test_cifar_is_read_from_its_published_files(cifar_root: Path, photographs: np.ndarray) -> None:
    for kind, classes in ((datasets.CIFAR10, 10), (datasets.CIFAR100, 100)):
        data = kind(root=str(cifar_root), download=False)
        data.prepare_data()
        train, test = data.load(train=True), data.load(train=False)
        assert torch.equal(train.x, torch.from_numpy(photographs[:100]))
        assert torch.equal(test.x, torch.from_numpy(photographs[100:]))
        assert train.y.tolist() == [k % classes for k in range(100)]
        assert len(set(data.class_names)) == data.num_classes == classes


PEAK = "import resource; print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
FIT_ON_NOISE = f"""
from torchvision.datasets import cifar
from project.cli.main import main
cifar.check_integrity = lambda path, md5: True
main(["fit", "--model=LeNet", "--data=CIFAR10", "--data.root=.", "--trainer.max_epochs=1",
      "--trainer.max_steps=50"])
{PEAK}
"""


@pytest.mark.needs("LeNet", "cifar")
@pytest.mark.slow
def test_memory_is_that_of_the_dataset_once(tmp_path: Path) -> None:
    """Files of CIFAR-10's size need at most 1.6 times their bytes, besides the imports."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        noise = {
            "data": generator.integers(256, size=(10_000, 3072), dtype=np.uint8),
            "labels": list(range(10)) * 1000,
        }
        with (folder / name).open("wb") as file:
            Python2Pickler(file, protocol=2).dump(noise)

    def peak(code: str) -> int:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout.rpartition("peak")[2])

    assert peak(FIT_ON_NOISE) - peak(f"import torch, lightning; {PEAK}") < 1.6 * 60_000 * 3072


def test_folds_are_disjoint_stratified_and_whole() -> None:
    y = torch.tensor([0] * 503 + [1] * 301 + [2] * 200)[torch.randperm(1004)]
    folds = [stratified_fold(y, fold, 5, seed=0) for fold in range(5)]
    for rest, held in folds:
        assert torch.equal(torch.cat([rest, held]).sort().values, torch.arange(1004))
        counts = Counter(y[held].tolist())
        assert [abs(counts[k] - expected) <= 1 for k, expected in enumerate((100.6, 60.2, 40))] == [
            True
        ] * 3
    assert torch.equal(torch.cat([held for _, held in folds]).sort().values, torch.arange(1004))
    assert not torch.equal(folds[0][1], stratified_fold(y, 0, 5, seed=1)[1])


@pytest.mark.slow
def test_fold_is_what_fit_validates_on(fit: Callable[..., CLI]) -> None:
    seen = []
    for fold in (0, 4):
        run = fit("--trainer.max_epochs=1", f"--data.fold={fold}", "--data.num_folds=5").run
        with run.sample_predictions("val").open() as file:
            seen.append({int(row["index"]) for row in csv.DictReader(file)})
        assert run.group == "digits+max_epochs1-num_folds5"
    y = Digits().load(train=True).y
    assert seen == [set(stratified_fold(y, fold, 5, seed=0)[1].tolist()) for fold in (0, 4)]
    assert not seen[0] & seen[1]
