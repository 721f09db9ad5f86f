"""Files that are fetched from a URL when they are first needed."""

import fcntl
import hashlib
import os
import time
from pathlib import Path

from project.errors import UserError, printable


class Remote:
    """A folder at a URL, of which a local folder gets copies.

    Args:
        url: Anything that fsspec reads, such as ``https://host/folder`` or ``s3://bucket/folder``.
        folder: The local folder.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url.rstrip("/"), folder

    def fetch(self, *names: str, md5: str | None = None) -> None:
        """Copy files that are not here yet, each once for all processes of this machine.

        Args:
            names: Of the files.
            md5: The checksum that they must have, if it is known.

        Raises:
            UserError: One is not there, cannot be read, or is not what it should be.
        """
        missing = [name for name in names if not (self.folder / name).exists()]
        if not missing:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in missing:
                if not (self.folder / name).exists():
                    self.copy(name, md5)

    def copy(self, name: str, md5: str | None) -> None:
        """Copy a file, whole or not at all."""
        content = self.read(f"{self.url}/{name}")
        if md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise UserError(f"{self.url}/{name} is damaged: upload it again")
        partial = self.folder / f"{name}.{os.getpid()}.partial"
        try:
            partial.write_bytes(content)
            partial.replace(self.folder / name)
        finally:
            partial.unlink(missing_ok=True)

    def read(self, address: str) -> bytes:
        """The content of a file, after a second and a third try where a connection fails."""
        import fsspec

        reason: Exception
        for seconds in (1, 3, 0):
            try:
                with fsspec.open(address, "rb") as source:
                    content: bytes = source.read()
                    return content
            except OSError as error:
                reason = error
                time.sleep(seconds)
            except (ValueError, ImportError) as error:  # no address, or a package is missing
                reason = error
                break
        raise UserError(
            f"cannot fetch {address} ({printable(str(reason))}): give --data.cache_url the address "
            "of a folder that prepare wrote"
        )
