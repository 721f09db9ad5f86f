"""What is asked of a network's outputs."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import lightning as L
from torch import Tensor
from torchmetrics import Metric

from project.errors import UserError


class Objective:
    """Base of all objectives; subclasses are named in a config as ``objective``.

    Outputs have the shape (N, K), where K is the data's ``num_classes``.

    Args:
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    monitor: ClassVar[str] = "val/loss"  # what best.ckpt is chosen by
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(self, plots: bool = True) -> None:
        self.plots = plots

    def prepare(self, data: Any, num_outputs: int) -> None:
        """Learn what the loss needs of the training samples, when training starts.

        Args:
            data: The data module; None for a training on loaders alone.
            num_outputs: Number of outputs K.
        """

    def state_dict(self) -> dict[str, Any]:
        """Plain values that a checkpoint keeps."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, of which a checkpoint may lack any."""

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss that evaluation reports, a scalar."""
        raise NotImplementedError

    def criterion_weight(self, y: Tensor) -> Tensor | int:
        """The weight of a batch with these targets in the mean of `criterion` over batches."""
        return len(y)

    def training_criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss that is trained, a scalar."""
        return self.criterion(outputs, y)

    def check_targets(self, y: Tensor, num_outputs: int) -> None:
        """Raise UserError if targets `y` of a batch cannot be meant."""
        raise NotImplementedError

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        """Metrics of evaluation by name, besides the loss."""
        raise NotImplementedError

    def chance(self, num_outputs: int) -> tuple[str, float] | None:
        """The loss of guessing as a formula and a value; None where there is no such value."""
        return None

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Values (N,) of a training batch to log by name; must not wait for the device."""
        return {}

    def update(self, metric: Metric, outputs: Tensor, y: Tensor) -> None:
        """Add a batch to one of the metrics."""
        metric.update(outputs, y)

    def predictions(self, outputs: Tensor) -> Tensor:
        """What a user wants to know in place of the outputs, such as probabilities (N, K)."""
        return outputs

    def table(self, predictions: Tensor, names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
        """Columns and N rows of the table of `predict`, for ``predictions`` (N, K) of K names."""
        raise NotImplementedError

    def callbacks(self) -> list[L.Callback]:
        """Callbacks that draw and write what this objective is about."""
        return []


def wrong_targets(y: Tensor, needs: str) -> UserError:
    """The error for targets of another task."""
    kind, shape = str(y.dtype).removeprefix("torch."), list(y.shape)
    return UserError(
        f"the targets of a batch are {kind} of shape {shape}, but {needs}: choose another "
        "--objective (Classification, Regression, MultiLabel), or with --data.labels another "
        "--data.target, with --data.path another --data.target_type"
    )
