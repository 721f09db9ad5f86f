"""MNIST."""

import contextlib
import io
import socket
from pathlib import Path

import torch
from torch import Tensor

from project.data.base import ImageDataModule
from project.data.sampling import TensorImages


class MNIST(ImageDataModule):
    """60,000 + 10,000 handwritten digits of 28x28 pixels (LeCun, Cortes & Burges).

    The files are torchvision's, ``root/MNIST/raw/*``; those already there are used without network.

    Args:
        download: Download missing files, checking their MD5; torchvision knows several mirrors.
    """

    num_classes = 10
    input_shape = (1, 28, 28)
    mean = (0.1307,)
    std = (0.3081,)
    class_names = tuple("0123456789")

    def __init__(self, download: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.download = download

    @property
    def folder(self) -> Path:
        return self.root / "MNIST" / "raw"

    def prepare_data(self) -> None:
        from torchvision.datasets import mnist

        files = mnist.MNIST

        names = [name.removesuffix(".gz") for name, _ in files.resources]
        if all((self.folder / name).is_file() for name in names):
            return
        try:
            if not self.download:
                raise RuntimeError("--data.download is false")
            with contextlib.redirect_stdout(io.StringIO()), timeout(seconds=20):
                files(self.root, download=True)
        except (RuntimeError, OSError, EOFError) as error:
            reason = str(error).splitlines()[-1] if isinstance(error, RuntimeError) else error
            raise ValueError(
                f"MNIST is not in {self.folder} and could not be downloaded ({reason}): put {', '.join(names)} "
                "(or the published .gz files) there, or give their --data.root"
            ) from None

    def load(self, train: bool) -> TensorImages:
        prefix = "train" if train else "t10k"
        x = read_idx(self.folder / f"{prefix}-images-idx3-ubyte", magic=2051)
        y = read_idx(self.folder / f"{prefix}-labels-idx1-ubyte", magic=2049)
        if len(x) != len(y) or x.shape[1:] != (28, 28) or y.max() > 9:
            raise damaged(self.folder, f"the {prefix} files do not fit each other")
        return TensorImages(x.unsqueeze(1), y.long())


def read_idx(path: Path, magic: int) -> Tensor:
    """The uint8 array of an idx file, with the number of dimensions that its magic number states.

    Raises:
        ValueError: The file is missing, truncated or something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise damaged(path, error.strerror) from None
    if int.from_bytes(data[:4]) != magic:
        raise damaged(path, f"its magic number is {int.from_bytes(data[:4])}, not {magic}")
    ndim = magic % 256
    shape = [int.from_bytes(data[4 * i : 4 * i + 4]) for i in range(1, ndim + 1)]
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8)[4 + 4 * ndim :]
    if len(values) == 0 or len(values) != torch.Size(shape).numel():
        raise damaged(path, f"it holds {len(values)} bytes of data, its header says {torch.Size(shape).numel()}")
    return values.view(shape)


def damaged(path: Path, reason: str | None) -> ValueError:
    """The error that names a damaged file."""
    return ValueError(f"{path} is damaged ({reason}): delete it, and the next run downloads it again")


@contextlib.contextmanager
def timeout(seconds: float):
    """Bound every wait for the network, which Python leaves open."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
