"""Caches as WebDatasets and from a URL: a real server on loopback, and tar files read by Python."""

import shutil
import tarfile
from pathlib import Path

import pytest
import torch

from project.cli.main import main
from project.data import ImageNet
from project.data.images import decode
from project.run.folder import find_run
from tests.conftest import QUIET
from tests.kill_and_resume import equal

pytestmark = [pytest.mark.needs("ImageNet", "prepare", "LeNet")]

SIZE = ["--data.cache=40", "--data.image_size=32", "--data.batch_size=8", "--data.num_workers=1"]
MODEL = ["--model=LeNet", "--data=ImageNet", *SIZE]


@pytest.fixture
def copied(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs, and several files of four for the cache of each split."""
    from project.data import shards

    monkeypatch.setattr(shards, "SHARD", 4)
    return Path(shutil.copytree(folders, tmp_path / "photos"))


@pytest.fixture
def served(copied: Path, server: tuple[Path, str], tmp_path: Path) -> tuple[str, Path]:
    """The address of a cache of tar files, and its folder."""
    main(["prepare", *MODEL, f"--data.root={copied}", "--format=webdataset"])
    folder, address = server
    (folder / tmp_path.name).symlink_to(copied / "prepared-40")
    return f"{address}/{tmp_path.name}", copied / "prepared-40"


def test_webdataset_has_the_images_and_their_classes(copied: Path) -> None:
    data = ImageNet(root=str(copied), cache=40)
    list(data.prepare_cache())
    plain = data.load(train=True)
    expected = [plain.files.read(index) for index in range(len(plain))]
    shutil.rmtree(data.cache_folder)
    list(data.prepare_cache("webdataset"))
    found = data.load(train=True)
    assert [found.files.read(index) for index in range(len(found))] == expected
    assert found.y.equal(plain.y)
    samples = []
    for path in sorted(data.cache_folder.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            contents = [tar.extractfile(name).read() for name in names]  # type: ignore[union-attr]
        for k in range(0, len(names), 2):
            assert names[k].removesuffix(".jpg") == names[k + 1].removesuffix(".cls")
            samples.append((contents[k], int(contents[k + 1])))
    assert samples == list(zip(expected, plain.y.tolist(), strict=True))


@pytest.mark.slow
def test_run_on_a_url_goes_on_bit_for_bit(served: tuple[str, Path], tmp_path: Path) -> None:
    """It is stopped in mid-epoch, loses its copy of the cache, and equals a run on the folder."""
    url, folder = served
    args = ["fit", *MODEL, *QUIET, "--trainer.max_epochs=2", "--trainer.log_every_n_steps=1"]
    main([*args, "--experiment=folder", f"--data.root={folder.parent}"])
    away = tmp_path / "away"
    remote = [*args, "--experiment=url", f"--data.root={away}", f"--data.cache_url={url}"]
    main([*remote, "--trainer.max_steps=4"])
    shutil.rmtree(away)
    main(["fit", "--run=runs/url", *QUIET, "--trainer.max_steps=-1"])
    assert len(list((away / "prepared-40").glob("train-*.tar"))) > 2
    assert not list(away.rglob("*.partial"))
    one, other = find_run(Path("runs/folder")), find_run(Path("runs/url"))
    assert one.metrics.read_bytes() == other.metrics.read_bytes()
    states = [torch.load(run.checkpoint("last"))["state_dict"] for run in (one, other)]
    assert equal(*states)
    tested = main(["test", "--run=runs/url", *QUIET])
    assert tested is not None
    assert len(tested.datamodule.test_set) == 12


@pytest.mark.needs("image_folder")
def test_folder_of_your_own_from_a_url(copied: Path, tmp_path: Path) -> None:
    """By any address that fsspec knows."""
    from project.data import ImageFolder

    data = ImageFolder(root=str(copied / "train"), cache=40)
    list(data.prepare_cache("webdataset"))
    url = f"file://{data.cache_folder}"
    other = ImageFolder(root=str(tmp_path / "away"), cache=40, cache_url=url)
    assert other.class_names == data.class_names
    for each in (data, other):
        each.setup("fit")
    assert other.train_set.y.equal(data.train_set.y)
    assert decode(other.train_set.files.read(0)).equal(decode(data.train_set.files.read(0)))


def test_bad_addresses_take_one_line(
    served: tuple[str, Path], tmp_path: Path, fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    url, folder = served
    args = ["fit", *MODEL, *QUIET, f"--data.root={tmp_path / 'away'}", "--trainer.max_epochs=1"]
    assert "cannot fetch" in fails(*args, f"--data.cache_url={url}/elsewhere")
    assert "Protocol not known" in fails(*args, "--data.cache_url=nope://bucket")
    assert "give --data.cache too" in fails(*args, f"--data.cache_url={url}", "--data.cache=null")
    for path in folder.glob("train-*.tar"):
        content = bytearray(path.read_bytes())
        content[600] ^= 1
        path.write_bytes(content)
    said = fails(*args, f"--data.cache_url={url}", "--data.num_workers=0")
    assert "is damaged: upload it again" in said
