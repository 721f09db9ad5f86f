"""ImageNet's official archives, extracted into a folder for each class.

torchvision's ``parse_train_archive`` shows no progress, writes the classes' archives to the disk
first, which are another 138 GB, and extracts without a filter, so that a member can lie outside the
folder. Its ``parse_val_archive`` does not notice missing images. Its reader of the devkit is used.
"""

import hashlib
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from project.errors import UserError


def has_archive(root: Path, split: str) -> bool:
    """Whether the split is still in its official archive."""
    from torchvision.datasets import imagenet

    return not (root / split).exists() and (root / imagenet.ARCHIVE_META[split][0]).exists()


def extract_imagenet(root: Path) -> None:
    """Make ``root/train`` and ``root/val`` out of the official archives where they are missing.

    A folder appears only once it is whole. The classes of the validation images come from the
    devkit's archive.

    Raises:
        UserError: An archive is not the published one.
    """
    from torchvision.datasets import imagenet

    for split in ("train", "val"):
        name, md5 = imagenet.ARCHIVE_META[split]
        archive, folder, partial = root / name, root / split, root / f"{split}.partial"
        if not has_archive(root, split):
            continue
        check_md5(archive, md5)
        shutil.rmtree(partial, ignore_errors=True)
        if split == "train":
            extract_train(archive, partial)
        else:
            extract_val(archive, validation_classes(root), partial)
        partial.rename(folder)


def extract_train(archive: Path, folder: Path) -> None:
    """Extract an archive of archives, one for each class and named after it."""
    with reading(archive, "Extracting") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member, content in members(tar, archive):
            into = folder / Path(member).stem
            into.mkdir(parents=True)
            with tarfile.open(fileobj=content, mode="r|") as images:
                for name, image in members(images, archive):
                    with (into / name).open("wb") as out:
                        shutil.copyfileobj(image, out)


def extract_val(archive: Path, classes: list[str], folder: Path) -> None:
    """Extract an archive of images; ``classes`` are theirs in the order of their names."""
    with reading(archive, "Extracting") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for name in set(classes):
            (folder / name).mkdir(parents=True)
        for name, image in members(tar, archive):
            with (folder / name).open("wb") as out:
                shutil.copyfileobj(image, out)
    names = sorted(path for path in folder.iterdir() if path.is_file())
    if len(names) != len(classes):
        raise UserError(
            f"{archive} holds {len(names)} images, the devkit has the classes of {len(classes)}"
        )
    for path, name in zip(names, classes, strict=True):
        path.rename(folder / name / path.name)


def validation_classes(root: Path) -> list[str]:
    """Classes of the official validation images, from the devkit."""
    from torchvision.datasets import imagenet

    name, md5 = imagenet.ARCHIVE_META["devkit"]
    if not (root / imagenet.META_FILE).exists():
        if not (root / name).exists():
            raise UserError(
                f"{root} has the archive of the validation images, but not {name} with their "
                "classes: get it"
            )
        check_md5(root / name, md5)
        imagenet.parse_devkit_archive(root)
    return imagenet.load_meta_file(root)[1]


def members(tar: tarfile.TarFile, archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file of an archive.

    Raises:
        UserError: A member is no plain file, or its name would lead out of the folder.
    """
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        if content is None or Path(member.name).name != member.name or member.name.startswith("."):
            raise UserError(
                f"{archive} holds {member.name}, which does not belong there: get the official "
                "archive"
            )
        yield member.name, content


def check_md5(path: Path, md5: str) -> None:
    """Raise UserError if a file is not the published one."""
    with reading(path, "Verifying") as file:
        if hashlib.file_digest(file, "md5").hexdigest() != md5:  # type: ignore[arg-type]
            raise UserError(
                f"{path} is damaged (its MD5 is not the published {md5}): download it again"
            )


@contextmanager
def reading(path: Path, what: str) -> Iterator[IO[bytes]]:
    """The open file, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import open as open_with_progress

    console, description = Console(stderr=True), f"{what} {path.name}"
    with open_with_progress(
        path, "rb", description=description, console=console, disable=not sys.stderr.isatty()
    ) as file:
        yield file
