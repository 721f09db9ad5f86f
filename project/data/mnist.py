"""MNIST."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from project.data.download import DownloadedDataModule, damaged
from project.data.sampler import TensorImages


class MNIST(DownloadedDataModule):
    """60,000 + 10,000 handwritten digits of 28x28 pixels (LeCun, Cortes & Burges).

    The files are torchvision's, ``root/MNIST/raw/*``; those already there are used without network.
    """

    num_classes = 10
    input_shape = (1, 28, 28)
    mean = (0.1307,)
    std = (0.3081,)
    class_names = tuple("0123456789")

    @property
    def folder(self) -> Path:
        return self.root / "MNIST" / "raw"

    @property
    def file_names(self) -> Sequence[str]:
        from torchvision.datasets import mnist

        return [name.removesuffix(".gz") for name, _ in mnist.MNIST.resources]

    def fetch(self) -> None:
        from torchvision.datasets import mnist

        mnist.MNIST(self.root, download=True)  # it knows several mirrors

    @property
    def checksum_status(self) -> str:
        return (
            "4 files as long as their headers say; what torchvision downloads has the published MD5"
        )

    def load(self, train: bool) -> TensorImages:
        prefix = "train" if train else "t10k"
        x = read_idx(self.folder / f"{prefix}-images-idx3-ubyte", magic=2051)
        y = read_idx(self.folder / f"{prefix}-labels-idx1-ubyte", magic=2049)
        if len(x) != len(y) or x.shape[1:] != (28, 28) or y.max() > 9:
            raise damaged(self.folder, f"the {prefix} files do not fit each other")
        return TensorImages(x.unsqueeze(1), y.long())


def read_idx(path: Path, magic: int) -> Tensor:
    """The uint8 array of an idx file; the magic number ends with its number of dimensions.

    torchvision's reader has assertions and errors of `view` for damage, and names no file.

    Raises:
        UserError: The file is missing, truncated or something else.
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
        raise damaged(
            path,
            f"it holds {len(values)} bytes of data, its header says {torch.Size(shape).numel()}",
        )
    return values.view(shape)
