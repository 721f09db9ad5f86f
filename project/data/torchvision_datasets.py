"""Published sets of small images that torchvision downloads; only official splits are used."""

from collections.abc import Sequence
from typing import Any, Literal

from project.data.published import SmallImages
from project.data.sampler import TensorImages
from project.errors import UserError

EMNIST_CLASSES = {"balanced": 47, "letters": 26}


class FashionMNIST(SmallImages):
    """60,000 + 10,000 pieces of clothing of 28x28 pixels in 10 classes (Xiao et al., 2017)."""

    num_classes, input_shape = 10, (1, 28, 28)

    @property
    def class_names(self) -> Sequence[str]:  # type: ignore[override]
        names: Sequence[str] = self.published.classes
        return names

    @property
    def file_names(self) -> Sequence[str]:
        parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        return [f"{type(self).__name__}/raw/{part}-ubyte" for part in parts]

    def split(self, train: bool) -> dict[str, Any]:
        return {"train": train}


class KMNIST(FashionMNIST):
    """60,000 + 10,000 characters of cursive Japanese, 28x28 pixels (Clanuwat et al., 2018)."""


class EMNIST(FashionMNIST):
    """Handwritten characters of 28x28 pixels (Cohen et al., 2017).

    Args:
        variant: ``balanced`` has 47 classes of digits and letters, ``letters`` has 26, which are
            upper and lower case.
    """

    def __init__(self, variant: Literal["balanced", "letters"] = "balanced", **kwargs) -> None:
        super().__init__(**kwargs)
        self.variant, self.num_classes = variant, EMNIST_CLASSES[variant]

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        return EMNIST_CLASSES[arguments["variant"]], cls.input_shape

    @property
    def title(self) -> str:
        return f"EMNIST-{self.variant}"

    @property
    def class_names(self) -> Sequence[str]:  # type: ignore[override]
        names: Sequence[str] = self.published.classes_split_dict[self.variant]
        return names[-self.num_classes :]  # the letters begin with a class that is not used

    @property
    def file_names(self) -> Sequence[str]:
        parts = [
            f"{part}-{kind}"
            for part in ("train", "test")
            for kind in ("images-idx3", "labels-idx1")
        ]
        return [f"EMNIST/raw/emnist-{self.variant}-{part}-ubyte" for part in parts]

    def split(self, train: bool) -> dict[str, Any]:
        return {"split": self.variant, "train": train}

    def load(self, train: bool) -> TensorImages:
        found = super().load(train)
        first = int(self.variant == "letters")  # their classes are numbered from 1 on
        # The published images are transposed.
        return TensorImages(found.x.transpose(2, 3).contiguous(), found.y - first)


class SVHN(SmallImages):
    """73,257 + 26,032 digits of house numbers, 32x32 pixels (Netzer et al., 2011)."""

    num_classes, input_shape = 10, (3, 32, 32)
    class_names = tuple("0123456789")
    file_names = ("train_32x32.mat", "test_32x32.mat")


class STL10(SmallImages):
    """5,000 + 8,000 photographs of 96x96 pixels in 10 classes (Coates et al., 2011).

    Args:
        train_fold: Which of the ten published folds of 1,000 training images to use; None for all.
    """

    num_classes, input_shape = 10, (3, 96, 96)
    class_names = (
        *("airplane", "bird", "car", "cat", "deer"),
        *("dog", "horse", "monkey", "ship", "truck"),
    )
    file_names = tuple(
        f"stl10_binary/{name}.bin" for name in ("train_X", "train_y", "test_X", "test_y")
    )

    def __init__(self, train_fold: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if train_fold is not None and train_fold not in range(10):
            raise UserError(f"--data.train_fold {train_fold} must lie between 0 and 9")
        self.train_fold = train_fold

    def split(self, train: bool) -> dict[str, Any]:
        return {"split": "train", "folds": self.train_fold} if train else {"split": "test"}
