"""Handwritten digits that come with scikit-learn."""

import torch

from project.data.datamodule import ImageDataModule
from project.data.sampler import TensorImages
from project.data.splits import stratified_split


class Digits(ImageDataModule):
    """1,797 handwritten digits of 8x8 pixels (Alpaydin & Kaynak, 1998), without a download.

    There is no official split; a fixed stratified fifth is the test set.
    """

    num_classes = 10
    input_shape = (1, 8, 8)
    mean = (0.3052,)
    std = (0.3758,)
    class_names = tuple("0123456789")

    @property
    def checksum_status(self) -> str:
        return "the installed scikit-learn's"

    def load(self, train: bool) -> TensorImages:
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
        y = torch.from_numpy(digits.target).long()
        indices = stratified_split(y, size=0.2, seed=0)[0 if train else 1]
        return TensorImages(x[indices], y[indices])
