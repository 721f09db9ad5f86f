"""Figures of a run's history and of what a network predicts for a split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CometLogger, Logger, MLFlowLogger, TensorBoardLogger
from torch import Tensor

from project import plots
from project.loggers.metrics_csv import MetricsCSV
from project.run.checkpoint_io import loaded_step
from project.run.folder import Run, run_of

SPLITS = {"validate": ("val", "validation"), "test": ("test", "test")}


class Plots(L.Callback):
    """Base of callbacks that draw; figures go to the run's folder and to loggers that take them.

    A subclass may look at each batch of `validate` and `test` in `add`, and draw in `draw`. With a
    Trainer that was made without the command line there is no run, and nothing is drawn.
    """

    run: Run | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.run = run_of(trainer)

    @property
    def title(self) -> str:
        """The run's name, for titles."""
        return f"{self.run.experiment}/{self.run.id}" if self.run else ""

    def save(self, trainer: L.Trainer, figure: Any, name: str) -> None:
        """Write a figure as ``name``.png, on the first process."""
        if not trainer.is_global_zero or self.run is None:
            return
        path = self.run.figures / f"{name}.png"
        plots.save(figure, path)
        fitting = trainer.state.fn == "fit"
        step = trainer.global_step if fitting else loaded_step(trainer)
        for logger in trainer.loggers:
            log_figure(logger, f"figures/{name}", path, step - 1)  # logged from 0 on

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.run = run_of(trainer)  # a new run has its config by now
        for logger in trainer.loggers if trainer.is_global_zero else []:
            if isinstance(logger, MetricsCSV):
                self.save(trainer, plots.history(logger.rows, self.title), "history")

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin a split."""

    def add(self, trainer: L.Trainer, outputs: Any, x: Tensor, y: Tensor) -> None:
        """Look at a batch of a split."""

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        """Draw what was seen of a split, called ``word`` in titles."""

    def begin(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin a split that `validate` or `test` evaluates."""
        if trainer.state.fn in SPLITS and self.run:
            self.start(trainer, pl_module)

    def end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw a split that `validate` or `test` has evaluated."""
        if trainer.state.fn in SPLITS and self.run:
            self.draw(trainer, *SPLITS[trainer.state.fn])

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        if trainer.state.fn in SPLITS and self.run:
            self.add(trainer, outputs, *batch)

    on_validation_start = on_test_start = begin
    on_validation_end = on_test_end = end
    on_test_batch_end = on_validation_batch_end


def log_figure(logger: Logger, name: str, path: Path, step: int) -> None:
    """Give the PNG file ``path`` to a logger in the way that it takes images, if it takes any."""
    if isinstance(logger, TensorBoardLogger):
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            logger.experiment.add_image(
                name, np.asarray(image.convert("RGB")), step, dataformats="HWC"
            )
        logger.save()  # Lightning has saved it for the last time when `fit` ended
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(path), str(Path(name).parent))
    elif isinstance(logger, CometLogger):
        logger.experiment.log_image(str(path), name, step=step)
    elif hasattr(logger, "log_image"):  # as Lightning's WandbLogger has it
        logger.log_image(name, [str(path)], step)


def output_names(data: Any, count: int) -> Sequence[str]:
    """Names of the K outputs, which are numbers if the data module has none."""
    names = getattr(data, "class_names", None)
    return names if names is not None and len(names) == count else tuple(map(str, range(count)))


def to_image(trainer: L.Trainer, x: Tensor) -> Tensor | None:
    """Samples of a batch as images (N, C, H, W) in [0, 1] on the CPU; None if they are none."""
    data: Any = trainer.datamodule
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not hasattr(data, "displayable"):
        return None
    images: Tensor = data.displayable(x)
    return images.cpu()


def gathered(trainer: L.Trainer, parts: list[Tensor]) -> Tensor:
    """Tensors of any lengths from all processes as one, on the CPU."""
    mine = torch.cat(parts).cpu()
    if trainer.world_size == 1:
        return mine
    everyone: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(everyone, mine)
    return torch.cat(everyone)
