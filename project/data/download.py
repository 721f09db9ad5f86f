"""Datasets that are downloaded where they are missing, by torchvision and with its checksums."""

import contextlib
import io
import socket
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from project.data.datamodule import ImageDataModule
from project.errors import UserError


class DownloadedDataModule(ImageDataModule):
    """Base of datasets that torchvision can download; a subclass gives their files.

    Args:
        download: Download missing files and check their MD5.
    """

    def __init__(self, download: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.download = download

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        raise NotImplementedError

    @property
    def file_names(self) -> Sequence[str]:
        """The files, or folders of files, that must be in the folder."""
        raise NotImplementedError

    def fetch(self) -> None:
        """Download the files."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        if all((self.folder / name).exists() for name in self.file_names):
            return
        try:
            if not self.download:
                raise RuntimeError("--data.download is false")
            with contextlib.redirect_stdout(io.StringIO()), timeout(seconds=20):
                self.fetch()
        except (RuntimeError, OSError, EOFError, tarfile.TarError) as error:
            reason = str(error).splitlines()[-1] if isinstance(error, RuntimeError) else error
            raise UserError(
                f"{type(self).__name__} is not in {self.folder} and could not be downloaded "
                f"({reason}): put {', '.join(self.file_names)} (or the published archives) there, "
                "or give their --data.root"
            ) from None


def damaged(path: Path, reason: str | None) -> UserError:
    """The error that names a damaged file."""
    return UserError(
        f"{path} is damaged ({reason}): delete it, and the next run downloads it again"
    )


@contextlib.contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Bound every wait for the network, which Python leaves open."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
