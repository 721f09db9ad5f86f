"""Loggers as a user writes them."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import wandb
from lightning.pytorch.loggers import Logger


class PlainLogger(Logger):
    """Has what Lightning asks of a logger and nothing else."""

    made: ClassVar[list["PlainLogger"]] = []

    def __init__(self) -> None:
        super().__init__()
        self.metrics: list[tuple[int | None, dict[str, float]]] = []
        self.hyperparameters: dict[str, Any] = {}
        self.made.append(self)

    name = "plain"
    version = 0

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.metrics.append((step, dict(metrics)))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.hyperparameters = params


class PictureLogger(PlainLogger):
    """Takes pictures as Lightning's WandbLogger does."""

    def __init__(self, greeting: str) -> None:
        super().__init__()
        self.greeting = greeting
        self.pictures: dict[str, int] = {}

    def log_image(self, key: str, images: list[Any], step: int) -> None:
        assert [Path(image).read_bytes()[1:4] for image in images] == [b"PNG"]
        self.pictures[key] = step


@pytest.fixture(autouse=True)
def no_loggers_of_others() -> Any:
    PlainLogger.made.clear()
    yield
    wandb.finish()
