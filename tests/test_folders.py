"""ImageNet, or any folder of images: decoding, bad files, archives, the cache."""

import io
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import imagenet

from project.cli.main import main
from project.data import ImageNet, RandAugment
from project.data.crops import random_box
from project.data.gpu import decode_on
from project.data.images import decode
from project.data.loaders import EvalLoader, TrainLoader, identity
from project.data.resizing import crop
from project.data.sampler import TrainBatches
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("ImageNet")
Fails = Callable[..., str]
SHORT = ["--trainer.max_epochs=1"]


@pytest.fixture
def photo() -> np.ndarray:
    """uint8 (427, 640, 3): a photograph of scikit-learn."""
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg").copy()


@pytest.fixture
def copied(folders: Path, tmp_path: Path) -> Path:
    """A copy of `folders` to change, in a folder with spaces and letters outside ASCII."""
    return Path(shutil.copytree(folders, tmp_path / "bilder für alle 圖"))


def encoded(pixels: np.ndarray | Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def fit_folder(fit: Callable, root: Path, *args: str) -> object:
    return fit(
        "--model=AlexNet", "--model.stem=small", "--model.batch_norm=true",
        "--data=ImageNet", f"--data.root={root}",
        "--data.image_size=32", "--data.batch_size=8", "--trainer.max_epochs=1", *args,
    )  # fmt: skip


@pytest.mark.slow
def test_fits_tests_and_predicts(fit: Callable, copied: Path) -> None:
    cli = fit_folder(fit, copied, "--data.num_workers=1")
    assert (cli.datamodule.num_classes, cli.datamodule.input_shape) == (3, (3, 32, 32))
    assert cli.datamodule.class_names == ["n01", "n02", "n03"]
    assert {"feature_maps.png", "filters.png"} <= {path.name for path in cli.run.figures.iterdir()}
    run = str(cli.run.folder)
    shutil.rmtree(copied / "train")  # what was trained on need not be there any more
    tested = main(["test", "--run", run, *QUIET])
    assert tested is not None
    assert len(tested.datamodule.test_set) == 12
    main(["predict", "--run", run, "--images", str(copied / "val" / "n02"), *QUIET])
    assert len(cli.run.predictions.read_text().splitlines()) == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_imagenet_crops_follow_the_seed_and_not_the_workers(workers: int, folders: Path) -> None:
    data = ImageNet(root=str(folders), image_size=24)
    files = data.load(train=True)
    batches = TrainBatches(
        torch.arange(30), 10, seed=1, rank=0, world_size=1, size=lambda epoch: 24
    )

    def epoch(number: int, workers: int) -> list[torch.Tensor]:
        batches.set_epoch(number)
        return [
            x
            for x, _ in TrainLoader(
                files, batch_sampler=batches, num_workers=workers, collate_fn=identity
            )
        ]

    first, again = epoch(0, 0), epoch(0, workers)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, epoch(1, workers), strict=True))
    halves = [
        TrainBatches(torch.arange(30), 10, seed=1, rank=r, world_size=2, size=lambda epoch: 24)
        for r in (0, 1)
    ]
    for whole, left, right in zip(
        TrainBatches(torch.arange(30), 10, 1, 0, 1, size=lambda epoch: 24), *halves, strict=True
    ):
        assert torch.equal(whole, torch.cat([left, right]))


def test_crop_boxes_are_distributed_as_torchvisions() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 300, 400)
    reference = [
        RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)
    ]
    generator = torch.Generator().manual_seed(0)
    ours = [
        random_box(300, 400, 0.08, torch.rand(4, 10, generator=generator).tolist())
        for _ in range(4000)
    ]
    expected, got = (
        torch.tensor(reference, dtype=torch.float64),
        torch.tensor(ours, dtype=torch.float64),
    )
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
    assert (
        float(
            (ImageNet(root=str(folders)).decoder()(path.read_bytes()).float() - expected.float())
            .abs()
            .mean()
        )
        < 1
    )


@pytest.mark.parametrize("scale", [1, 4])
def test_crops_equal_the_slow_path(scale: int, photo: np.ndarray) -> None:
    """Mean difference to Pillow and resizing in float; large JPEGs are decoded smaller."""
    height, width = photo.shape[0] * scale, photo.shape[1] * scale
    data = encoded(Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC))
    with Image.open(io.BytesIO(data)) as file:
        pixels = torch.from_numpy(np.array(file)).permute(2, 0, 1).float()
    for seed in range(8):
        draws = torch.rand(4, 10, generator=torch.Generator().manual_seed(seed)).tolist()
        top, left, h, w = random_box(height, width, 0.08, draws)
        part = pixels[None, :, top : top + h, left : left + w]
        slow = torch.nn.functional.interpolate(part, (64, 64), mode="bilinear", antialias=True)[0]
        ours = crop(data, lambda h, w: random_box(h, w, 0.08, draws), 64)  # noqa: B023
        assert float((ours.float() - slow).abs().mean()) < 1


def test_kinds_of_images_are_decoded_right(photo: np.ndarray, tmp_path: Path) -> None:
    expected = torch.from_numpy(photo).permute(2, 0, 1)
    gray = np.array(Image.fromarray(photo).convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees, which ImageNet's convention ignores
    sixteen = Image.fromarray(gray.astype(np.uint16) * 256 + 17)
    alpha = np.dstack([photo, np.full(photo.shape[:2], 90, np.uint8)])
    cases = {
        "JPEG": (encoded(photo, quality=95), expected, 3),
        "turned": (encoded(photo, quality=95, exif=exif), expected, 3),
        "PNG": (encoded(photo, "PNG"), expected, 0),
        "alpha": (encoded(alpha, "PNG"), expected, 0),
        "palette": (
            encoded(Image.fromarray(photo).quantize(256), "PNG", transparency=b"\0"),
            expected,
            8,
        ),
        "CMYK": (encoded(Image.fromarray(photo).convert("CMYK"), quality=95), expected, 3),
        "gray JPEG": (encoded(gray, quality=95), torch.from_numpy(gray).expand(3, -1, -1), 3),
        "gray 16 bits": (encoded(sixteen, "PNG"), torch.from_numpy(gray).expand(3, -1, -1), 0),
        "one pixel": (encoded(photo[:1, :1], "PNG"), expected[:, :1, :1], 0),
    }
    for name, (data, pixels, most) in cases.items():
        image = decode(data)
        assert (image.shape, image.dtype) == (pixels.shape, torch.uint8), name
        assert float((image.float() - pixels.float()).abs().mean()) <= most, name
        assert crop(data, lambda height, width: (0, 0, height, width), 24).shape == (3, 24, 24), (
            name
        )


BAD = {
    "truncated.jpg": lambda data: data[: len(data) // 2],
    "text.jpg": lambda data: b"this is no image",
    "empty.png": lambda data: b"",
}


@pytest.mark.needs("AlexNet")
def test_bad_files_are_skipped_named_and_counted(
    fit: Callable, copied: Path, photo: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, spoil in BAD.items():
        (copied / "train" / "n02" / name).write_bytes(spoil(encoded(photo)))
    (copied / "train" / "n03" / "gone.jpg").symlink_to(copied / "nowhere.jpg")
    (copied / "train" / "n03" / "itself.jpg").symlink_to("itself.jpg")
    (copied / "train" / "n03" / "notes.txt").write_text("no image")
    (copied / "train" / "n03" / "loop").symlink_to(copied / "train" / "n03")
    cli = fit_folder(fit, copied, "--data.max_unreadable=0.2", "--trainer.max_epochs=2")
    data = cli.datamodule.train_set
    assert len(data) == 35
    assert int(data.unreadable.sum()) == 5
    said = capfd.readouterr().err
    skipped = [line for line in said.splitlines() if line.startswith("skipped")]
    assert len(skipped) == 5  # once each in two epochs
    bad = [*BAD, "gone.jpg", "itself.jpg"]
    assert {name for name in bad if any(name in line for line in skipped)} == {
        *BAD, "gone.jpg", "itself.jpg",
    }  # fmt: skip
    assert re.search(r"ignored 1 file\(s\) .*notes.txt", said)
    assert "5 of the 35 images of train_set could not be read" in said


@pytest.mark.needs("AlexNet")
def test_too_many_bad_files_are_an_error(fails: Fails, copied: Path) -> None:
    for name in ("0", "1", "2"):
        (copied / "train" / "n02" / f"{name}.JPEG").write_bytes(b"no image")
    args = [
        "fit",
        *QUIET,
        *SHORT,
        "--model=AlexNet",
        "--model.stem=small",
        "--data=ImageNet",
        f"--data.root={copied}",
    ]
    said = fails(*args, "--data.image_size=32", "--data.batch_size=8", "--data.num_workers=1")
    assert "more than the fraction --data.max_unreadable 0.05" in said


def test_batches_without_a_readable_image_are_left_out(copied: Path) -> None:
    for path in (copied / "val" / "n01").iterdir():
        path.write_bytes(b"")
    data = ImageNet(root=str(copied), image_size=24, max_unreadable=1.0, batch_size=4)
    data.setup("test")
    loader = data.test_dataloader()
    assert isinstance(loader, EvalLoader)
    assert [len(y) for _, y in loader] == [4, 4]
    (x, y) = data.test_set.__getitems__(torch.tensor([[0, 7, 24], [5, 7, 24]]))
    assert (len(x), y.tolist()) == (2, [1, 1])  # in training another takes its place
    with pytest.raises(ValueError, match="none of a batch's 2 images"):
        data.test_set.__getitems__(torch.tensor([[0, 7, 24], [1, 7, 24]]))


@pytest.mark.needs("LeNet", "prepare")
def test_bad_folders(fails: Fails, copied: Path, tmp_path: Path) -> None:
    args = ["fit", *QUIET, *SHORT, "--model=LeNet", "--data=ImageNet", f"--data.root={copied}"]
    (copied / "val" / "n04").mkdir()
    assert "val has n04" in fails(*args)
    (copied / "val" / "n04").rmdir()
    (copied / "train" / "n05").mkdir()
    assert "val lacks n05" in fails(*args)
    (copied / "val" / "n05").mkdir()
    assert f"the class folder {copied}/train/n05 holds no image" in fails(*args)
    archive = tmp_path / "imagenet.zip"
    archive.write_bytes(b"PK")
    args[-1] = f"--data.root={archive}"
    assert "is a file: unpack it" in fails(*args)
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "train.zip").write_bytes(b"PK")
    assert "unpack train.zip there" in fails(*args[:-1], f"--data.root={tmp_path / 'zipped'}")
    assert "--data.cache 256" in fails(
        "prepare", "--model=LeNet", "--data=ImageNet", f"--data.root={copied}"
    )
    assert "nothing to prepare" in fails("prepare")


@pytest.mark.slow
def test_progressive_size(fit: Callable, folders: Path) -> None:
    sizes = []
    data = ImageNet(root=str(folders), image_size=128, start_size=64)
    data.trainer = type("Trainer", (), {"max_epochs": 5})()  # type: ignore[assignment]
    assert [data.sample_size()(epoch) for epoch in range(5)] == [64, 64, 96, 128, 128]
    cli = fit_folder(
        fit, folders, "--data.start_size=16", "--trainer.max_epochs=3", "--data.image_size=48"
    )
    batches = cli.datamodule.train_batches(8)
    for epoch in range(3):
        batches.set_epoch(epoch)
        sizes.append(cli.datamodule.train_set.__getitems__(next(iter(batches)))[0].shape[-1])
    assert sizes == [16, 32, 48]


def test_training_images_may_be_smaller(folders: Path, fails: Callable[..., str]) -> None:
    data = ImageNet(root=str(folders), image_size=56, train_size=44)
    data.setup("validate")
    rows = next(iter(data.train_batches(4)))
    assert data.train_set.__getitems__(rows)[0].shape == (4, 3, 44, 44)
    assert next(iter(data.val_dataloader()))[0].shape[1:] == (3, 56, 56)
    args = ["fit", "--model=MLP", "--data=ImageNet", f"--data.root={folders}"]
    said = fails(*args, "--data.train_size=44", "--data.start_size=48")
    assert "start_size 48 must lie between 1 and the size of training images, 44" in said


def test_policies_run_in_the_workers(folders: Path) -> None:
    plain, changed = (
        ImageNet(root=str(folders), image_size=24, augment=a)
        for a in (None, [RandAugment(magnitude=30)])
    )
    assert changed.augment == []
    rows = torch.tensor([[i, 11 * i, 24] for i in range(12)])
    x, _ = plain.load(train=True).__getitems__(rows)
    z, _ = changed.load(train=True).__getitems__(rows)
    assert (z.shape, z.dtype) == (x.shape, torch.uint8)
    assert sum(not torch.equal(a, b) for a, b in zip(x, z, strict=True)) >= 6
    assert torch.equal(changed.load(train=True).__getitems__(rows)[0], z)


def test_datasets_travel_to_spawned_workers(folders: Path) -> None:
    """As Python 3.14 starts them: they take neither the datamodule nor its Trainer along."""
    data = ImageNet(root=str(folders), image_size=24)
    data.trainer = lambda: None  # type: ignore[assignment]  # cannot be pickled
    data.given = [folders / "val" / "n01" / "10.JPEG"]
    data.setup("predict")
    files = data.load(train=True)
    for dataset in (files, data.predict_set):
        dataset.unreadable = torch.zeros(
            len(dataset), dtype=torch.bool
        )  # shared memory is handed over by torch
    assert len(pickle.loads(pickle.dumps(files))) == 30
    assert pickle.loads(pickle.dumps(data.predict_set)).__getitems__(torch.tensor([0]))[
        0
    ].shape == (1, 3, 24, 24)


def test_decoding_on_the_device_gives_the_same(
    folders: Path, photo: np.ndarray, copied: Path
) -> None:
    (copied / "train" / "n01" / "0.JPEG").write_bytes(encoded(photo))
    (copied / "train" / "n01" / "1.png").write_bytes(encoded(photo, "PNG"))
    rows = torch.tensor([[i, 5 * i, 24] for i in range(6)])
    workers, device = (
        ImageNet(root=str(copied), image_size=24, decode_on_gpu=later) for later in (False, True)
    )
    x, _ = workers.load(train=True).__getitems__(rows)
    samples, y = device.load(train=True).__getitems__(rows)
    assert isinstance(samples, list)
    z, _ = device.transfer_batch_to_device((samples, y), torch.device("cpu"), 0)
    assert float((x.float() - z.float()).abs().mean()) < 1
    samples[0].content = samples[0].content[:500]
    with pytest.raises(ValueError, match=r"(?i)truncated"):
        decode_on(torch.device("cpu"), samples)


# ---------------------------------------------------------------- official archives


def tar_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def archives(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The images of `folders` in archives like the official ones, whose checksums they replace."""
    root = tmp_path / "official"
    root.mkdir()
    inner = {
        f"{c.name}.tar": tar_of({f"{c.name}_{p.name}": p.read_bytes() for p in sorted(c.iterdir())})
        for c in sorted((folders / "train").iterdir())
    }
    val = [(path.parent.name, path.read_bytes()) for path in sorted((folders / "val").glob("*/*"))]
    contents = {
        "train": tar_of(inner),
        "val": tar_of(
            {f"ILSVRC2012_val_{i:08d}.JPEG": content for i, (_, content) in enumerate(val)}
        ),
    }
    store(root, contents, monkeypatch)
    names = {wnid: (f"name of {wnid}", "other") for wnid in ("n01", "n02", "n03")}
    torch.save((names, [wnid for wnid, _ in val]), root / imagenet.META_FILE)
    return root


def store(root: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    for split, content in contents.items():
        name, _ = imagenet.ARCHIVE_META[split]
        (root / name).write_bytes(content)
        monkeypatch.setitem(imagenet.ARCHIVE_META, split, (name, hashlib.md5(content).hexdigest()))


def test_official_archives_are_extracted_once(archives: Path, folders: Path) -> None:
    data = ImageNet(root=str(archives))
    assert data.num_classes == 1000
    (archives / "val.partial").mkdir()  # an earlier run was stopped
    data.prepare_data()
    data.setup("fit")
    assert (data.num_classes, len(data.train_set)) == (3, 30)
    assert data.class_names == ["name of n01", "name of n02", "name of n03"]
    for split in ("train", "val"):
        ours = sorted((p.parent.name, p.read_bytes()) for p in (archives / split).glob("*/*"))
        assert ours == sorted(
            (p.parent.name, p.read_bytes()) for p in (folders / split).glob("*/*")
        )
    times = {path: path.stat().st_mtime_ns for path in archives.rglob("*")}
    data.prepare_data()
    assert times == {path: path.stat().st_mtime_ns for path in archives.rglob("*")}


@pytest.mark.parametrize("name", ["../evil.tar", "/tmp/evil.tar", "..tar"])
def test_no_member_leaves_the_folder(
    name: str, archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(archives, {"train": tar_of({name: tar_of({"a.JPEG": b"x"})})}, monkeypatch)
    with pytest.raises(ValueError, match="does not belong there"):
        ImageNet(root=str(archives)).prepare_data()
    store(archives, {"train": tar_of({"n01.tar": tar_of({"../../a.JPEG": b"x"})})}, monkeypatch)
    with pytest.raises(ValueError, match="does not belong there"):
        ImageNet(root=str(archives)).prepare_data()
    assert not (archives / "train").exists()
    assert not list(archives.parent.rglob("a.JPEG"))


@pytest.mark.needs("LeNet")
def test_damaged_archive_is_named(archives: Path, fails: Fails) -> None:
    with (archives / imagenet.ARCHIVE_META["train"][0]).open("ab") as file:
        file.write(b"more")
    said = fails(
        "fit", *QUIET, *SHORT, "--model=LeNet", "--data=ImageNet", f"--data.root={archives}"
    )
    assert "ILSVRC2012_img_train.tar is damaged (its MD5 is not the published" in said


def test_names_of_classes_come_from_kaggles_file(copied: Path) -> None:
    assert ImageNet(root=str(copied)).class_names == ["n01", "n02", "n03"]
    (copied / "LOC_synset_mapping.txt").write_text("n01 tench, Tinca tinca\nn03 cock\n")
    assert ImageNet(root=str(copied)).class_names == ["tench", "n02", "cock"]


# ---------------------------------------------------------------- the cache


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.needs("AlexNet")
@pytest.mark.needs("prepare")
def test_cache_gives_the_images_at_that_size(
    fit: Callable, copied: Path, photo: np.ndarray, capsys
) -> None:
    (copied / "train" / "n01" / "0.JPEG").write_bytes(encoded(photo, quality=95))
    (copied / "train" / "n01" / "1.JPEG").write_bytes(b"no image")
    args = [
        "--model=AlexNet",
        "--model.stem=small",
        "--data=ImageNet",
        f"--data.root={copied}",
        "--data.cache=48",
    ]
    main(["prepare", *args, "--data.num_workers=1"])
    said = capsys.readouterr()
    assert "1.JPEG (it is no image of a known format)" in said.err
    assert "prepared 30 train, 12 val images" in said.out
    data = ImageNet(root=str(copied), cache=48, image_size=32)
    files = data.load(train=True)
    assert len(files) == 29
    first = decode(files.files.read(0))
    assert first.shape == (3, 48, 72)
    reference = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    slow = torch.nn.functional.interpolate(reference, (48, 72), mode="bilinear", antialias=True)[0]
    assert float((first.float() - slow).abs().mean()) < 4  # JPEG's own loss besides
    assert files.y.bincount().tolist() == [9, 10, 10]
    small = copied / "train" / "n02" / "1.JPEG"  # 40 x 120 pixels: as it was
    assert small.read_bytes() in {files.files.read(i) for i in range(29)}
    cli = fit(*args, "--data.image_size=32", "--data.batch_size=8", "--trainer.max_epochs=1")
    shutil.rmtree(copied / "val")
    tested = main(["test", "--run", str(cli.run.folder), *QUIET])
    assert tested is not None
    assert len(tested.datamodule.test_set) == 12


@pytest.mark.needs("LeNet")
@pytest.mark.needs("prepare")
def test_prepare_goes_on_and_ends_with_the_same_bytes(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Fails
) -> None:
    from project.data import shards

    monkeypatch.setattr(shards, "SHARD", 4)
    other = Path(shutil.copytree(copied, tmp_path / "other"))
    steps = ImageNet(root=str(copied), cache=24).prepare_cache()
    for _ in range(3):
        next(steps)  # and then it is killed
    folder, whole = copied / "prepared-24", other / "prepared-24"
    assert sorted(path.name for path in folder.glob("*.jpegs")) == [
        f"train-{k:05d}.jpegs" for k in range(3)
    ]
    args = [
        "fit",
        *QUIET,
        *SHORT,
        "--model=LeNet",
        "--data=ImageNet",
        f"--data.root={copied}",
        "--data.cache=24",
    ]
    assert "python -m project prepare" in fails(*args)
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*.jpegs")}
    with (folder / "train-00001.jpegs").open("r+b") as file:
        file.write(b"damage")
    list(ImageNet(root=str(copied), cache=24).prepare_cache())
    list(ImageNet(root=str(other), cache=24).prepare_cache())
    assert contents_of(folder).keys() == contents_of(whole).keys()
    images = {
        name: content for name, content in contents_of(folder).items() if name.endswith(".jpegs")
    }
    assert images == {
        name: content for name, content in contents_of(whole).items() if name.endswith(".jpegs")
    }
    assert (folder / "train-00000.jpegs").stat().st_mtime_ns == done[folder / "train-00000.jpegs"]
    assert (folder / "train-00001.jpegs").stat().st_mtime_ns != done[folder / "train-00001.jpegs"]
    (folder / "train-00002.jpegs").write_bytes(b"")
    with pytest.raises(ValueError, match="damaged or missing"):
        ImageNet(root=str(copied), cache=24).load(train=True)
    (copied / "train" / "n01" / "0.JPEG").write_bytes(encoded(np.zeros((90, 90, 3), np.uint8)))
    list(ImageNet(root=str(copied), cache=24).prepare_cache())  # another file under the same name
    assert decode(ImageNet(root=str(copied), cache=24).load(train=True).files.read(0)).max() < 3


@pytest.mark.needs("LeNet")
@pytest.mark.needs("prepare")
@pytest.mark.slow
def test_killed_prepare_leaves_nothing_half_written(
    copied: Path, tmp_path: Path, photo: np.ndarray
) -> None:
    """A real process, ended by SIGKILL as soon as its first file is there or half done."""
    for k in range(400):
        (copied / "train" / "n01" / f"x{k}.JPEG").write_bytes(encoded(photo))
    imports = "import project.data.shards as s, project.cli.main as c, sys"
    program = f"{imports}; s.SHARD = 20; c.main(sys.argv[1:])"
    args = [
        "prepare",
        "--model=LeNet",
        "--data=ImageNet",
        f"--data.root={copied}",
        "--data.cache=200",
    ]
    folder = copied / "prepared-200"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *args], env=environment, cwd=tmp_path
    )
    while process.poll() is None and not (folder / "train-00001.jpegs").exists():
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = contents_of(folder)
    assert "val.json" not in first
    assert (
        subprocess.run(
            [sys.executable, "-c", program, *args], env=environment, cwd=tmp_path
        ).returncode
        == 0
    )
    complete = contents_of(folder)
    assert all(
        complete[name] == content
        for name, content in first.items()
        if name.endswith((".jpegs", ".json"))
    )
    assert not [name for name in complete if name.endswith(".partial")]
    shutil.rmtree(folder)
    assert (
        subprocess.run(
            [sys.executable, "-c", program, *args], env=environment, cwd=tmp_path
        ).returncode
        == 0
    )
    assert contents_of(folder) == complete
