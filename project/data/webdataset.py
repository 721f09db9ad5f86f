"""The WebDataset format: tar files in which the files of a sample differ in their suffix alone."""

import io
import tarfile
from collections.abc import Sequence

BLOCK = 512  # bytes, in which a tar file is counted


def tar_of(
    images: Sequence[bytes], first: int, classes: Sequence[int | None]
) -> tuple[bytes, list[int]]:
    """A tar file with ``<number>.jpg`` and ``<number>.cls`` for each sample.

    Args:
        images: Encoded images (N).
        first: Number of the first sample.
        classes: The class of each sample (N); None for a sample without one.

    Returns:
        The tar file, which depends on these alone, and where the content of each image begins.
    """
    file, starts = io.BytesIO(), []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (image, label) in enumerate(zip(images, classes, strict=True), first):
            starts.append(file.tell() + BLOCK)
            add(tar, f"{number:09d}.jpg", image)
            if label is not None:
                add(tar, f"{number:09d}.cls", str(label).encode())
    return file.getvalue(), starts


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without time and owner."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
