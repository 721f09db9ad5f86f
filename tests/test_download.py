"""CIFAR's archives, from a server on this machine in place of the published ones."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.cli.main import main
from project.data import CIFAR10, CIFAR100
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("cifar")
Fails = Callable[..., str]
Publish = Callable[..., list[str]]
LENET = [
    "fit",
    *QUIET,
    "--model=LeNet",
    "--data=CIFAR10",
    "--data.batch_size=20",
    "--trainer.max_epochs=1",
]


def archive_of(root: Path, folder: str, *more: tuple[str, bytes]) -> bytes:
    """A tar.gz of a folder in root and of further members, given by name and content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(root / folder, arcname=folder)
        for name, content in more:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def publish(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Let the mirrors and then the first host give these contents, `None` for nothing."""

    def publish(kind: type[CIFAR10], *contents: bytes | None, md5_of: bytes) -> list[str]:
        folder, address = server
        names = [f"{kind.__name__}-{i}.tar.gz" for i in range(len(contents))]
        for name, content in zip(names, contents, strict=True):
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
        *mirrors, first_host = [f"{address}/{name}" for name in names]
        published = kind().published
        monkeypatch.setattr(kind, "mirrors", mirrors)
        monkeypatch.setattr(published, "url", first_host)
        monkeypatch.setattr(published, "tgz_md5", hashlib.md5(md5_of).hexdigest())
        return [*mirrors, first_host]

    return publish


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_the_next_mirror_is_tried(
    kind: type[CIFAR10], good: int, cifar_root: Path, publish: Publish, tmp_path: Path
) -> None:
    archive = archive_of(cifar_root, kind().published.base_folder)
    # What comes before is missing, or cut off.
    contents = [None, archive[:-100], None][:good] + [archive] + [None] * (2 - good)
    publish(kind, *contents, md5_of=archive)
    data = kind(root=str(tmp_path / "new"))
    data.prepare_data()
    assert torch.equal(data.load(train=True).x, kind(root=str(cifar_root)).load(train=True).x)
    publish(kind, None, None, None, md5_of=archive)
    data.prepare_data()  # files that are there need no network


@pytest.mark.needs("LeNet")
def test_fit_and_check_download_what_they_need(
    cifar_root: Path, publish: Publish, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of(cifar_root, "cifar-10-batches-py")
    publish(CIFAR10, archive, None, md5_of=archive)
    main([*LENET, f"--data.root={tmp_path / 'new'}"])
    assert "Downloading" not in capsys.readouterr().out  # standard output is for results


@pytest.mark.needs("LeNet")
def test_archive_with_a_wrong_md5_is_not_extracted(
    cifar_root: Path, publish: Publish, fails: Fails, tmp_path: Path
) -> None:
    archive = archive_of(cifar_root, "cifar-10-batches-py", ("cifar-10-batches-py/extra", b"x"))
    urls = publish(CIFAR10, archive, archive, md5_of=b"another")
    said = fails(*LENET, f"--data.root={tmp_path / 'new'}")
    assert "could not be downloaded" in said
    assert all(url in said for url in urls)
    assert not (tmp_path / "new" / "cifar-10-batches-py").exists()
    assert not list(Path().glob("runs/*"))  # no experiment's folder either


@pytest.mark.needs("LeNet")
@pytest.mark.parametrize(
    "name", ["../outside", "cifar-10-batches-py/../../outside", "/tmp/outside-of-all"]
)
def test_member_that_would_leave_the_folder(
    name: str, cifar_root: Path, publish: Publish, fails: Fails, tmp_path: Path
) -> None:
    archive = archive_of(cifar_root, "cifar-10-batches-py", (name, b"x"))
    publish(CIFAR10, archive, md5_of=archive)
    root = tmp_path / "deep" / "new"
    if name.startswith("/"):  # taken as relative to the folder
        CIFAR10(root=str(root)).prepare_data()
        assert (root / name[1:]).exists()
        assert not Path(name).exists()
    else:
        assert "outside" in fails(*LENET, f"--data.root={root}")
    assert not list(tmp_path.glob("**/outside"))
    assert not (tmp_path / "deep" / "outside").exists()


@pytest.mark.needs("LeNet")
def test_damaged_file_is_named(cifar_root: Path, fails: Fails) -> None:
    path = cifar_root / "cifar-10-batches-py" / "data_batch_3"
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    try:
        said = fails(*LENET, f"--data.root={cifar_root}")
    finally:
        path.write_bytes(content)
    assert str(path) in said
    assert "MD5" in said
