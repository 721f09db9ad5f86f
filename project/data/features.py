"""`Features`: datasets whose samples are numbers and no images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from project.data.datamodule import ImageDataModule
from project.data.sampler import TensorImages
from project.errors import UserError


class Features(ImageDataModule):
    """Base of datasets of features: samples float32 (D,), with classes or real values as targets.

    A subclass is written as any other dataset. Each feature is standardised by mean and standard
    deviation of the samples that are trained on, without those that are held out.

    Args:
        standardize: Whether features are standardised; without it they are taken as they are.
        measured: What was measured on the samples that are trained on, such as ``mean`` and
            ``std``, which a run's config keeps; None to measure it.
        **kwargs: The arguments of `ImageDataModule`.
    """

    feature_names: Sequence[str]

    def __init__(
        self, standardize: bool = True, measured: dict[str, Any] | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.standardize = standardize
        if measured:
            self.mean, self.std = measured["mean"], measured["std"]

    @property
    def checksum_status(self) -> str:
        return "the installed scikit-learn's"

    @property
    def measured(self) -> dict[str, Any]:
        """What is measured on the samples that are trained on."""
        self.standardise()
        return {"mean": list(self.mean), "std": list(self.std)}

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {"measured": self.measured}

    def setup(self, stage: str) -> None:
        self.standardise()
        if stage == "predict":
            self.predict_set = self.read(self.given[0])
        else:
            super().setup(stage)

    def read(self, table: Path) -> TensorImages:
        """The samples in a table of the user's own, with indices in place of targets.

        Raises:
            UserError: The dataset is none of a table.
        """
        raise UserError(
            "--table is for runs on a CSV file (--data CSV): predict arrays of features in Python, "
            "by load(RUN).predict"
        )

    def features(self, row: Mapping[str, Any]) -> Tensor:
        """The features (D,) in a row of a table: a cell for each column.

        Raises:
            UserError: The dataset is none of a table.
        """
        raise UserError("a row of names and cells needs a run on a CSV file: give arrays")

    def standardise(self) -> None:
        """Set mean and standard deviation, unless a run's config has them."""
        if not hasattr(self, "mean"):
            super().setup("fit")
            self.mean, self.std = self.standardisation(self.train_set.x[self.train_indices])

    def standardisation(self, x: Tensor) -> tuple[list[float], list[float]]:
        """What is subtracted from the features of samples (N, D), and what divides them then."""
        if not self.standardize:
            return [0.0] * x.shape[1], [1.0] * x.shape[1]
        mean, std = x.double().mean(0), x.double().std(0, correction=0)
        std[std == 0] = 1
        return mean.tolist(), std.tolist()
