"""Pictures of a run's history and predictions."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CometLogger, Logger, MLFlowLogger, TensorBoardLogger
from torch import Tensor

from project import plots
from project.loggers.metrics_csv import MetricsCSV
from project.loggers.wandb import WandB
from project.run.folder import Run


class Pictures(L.Callback):
    """Base of what draws: pictures go to the run's folder and to the loggers that take pictures.

    Args:
        run: Where they go.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def save(self, trainer: L.Trainer, figure: Any, name: str) -> None:
        """Write a figure as ``name``.png; does nothing but on the first process."""
        if not trainer.is_global_zero:
            return
        path = self.run.figures / f"{name}.png"
        plots.save(figure, path)
        fitting = trainer.state.fn == "fit"
        steps = trainer.global_step if fitting else trainer.lightning_module.loaded_step
        for logger in trainer.loggers:
            log_picture(
                logger, f"figures/{name}", path, steps - 1
            )  # steps are logged counting from 0


def log_picture(logger: Logger, name: str, path: Path, step: int) -> None:
    """Give the PNG file ``path`` to a logger in the way that it takes pictures; does nothing if it takes none."""
    if isinstance(logger, TensorBoardLogger):
        import numpy as np
        from PIL import Image

        with Image.open(path) as picture:
            logger.experiment.add_image(
                name, np.asarray(picture.convert("RGB")), step, dataformats="HWC"
            )
        logger.save()  # Lightning has saved it for the last time when `fit` ended
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(path), str(Path(name).parent))
    elif isinstance(logger, CometLogger):
        logger.experiment.log_image(str(path), name, step=step)
    elif hasattr(logger, "log_image"):  # as Lightning's WandbLogger has it
        logger.log_image(name, [str(path)], step)


class Figures(Pictures):
    """Pictures in ``figures/`` and loggers: the history after fit; what a split looks like after `validate` or `test`.

    Args:
        run: Where they go.
        examples: Images in the grid of predictions, and in that of mistakes.
    """

    def __init__(self, run: Run, examples: int = 12) -> None:
        super().__init__(run)
        self.examples = examples

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers if trainer.is_global_zero else []:
            if isinstance(logger, MetricsCSV):
                self.save(
                    trainer,
                    plots.history(logger.rows, f"{self.run.experiment}/{self.run.id}"),
                    "history",
                )

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start(trainer, pl_module)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start(trainer, pl_module)

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        k = pl_module.num_classes
        self.counts = torch.zeros(k * k, dtype=torch.int64, device=pl_module.device)
        self.seen = 0
        self.chosen: list[tuple[Tensor, ...]] = []
        self.mistakes: tuple[Tensor, ...] | None = None

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        if trainer.state.fn == "validate":
            self.look(trainer, outputs, *batch)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.look(trainer, outputs, *batch)

    def look(self, trainer: L.Trainer, logits: Tensor, x: Tensor, y: Tensor) -> None:
        """Add one batch to what the pictures show."""
        probabilities = logits.float().softmax(1)
        confidence, predicted = probabilities.max(1)
        k = probabilities.shape[1]
        self.counts += torch.bincount(y * k + predicted, minlength=k * k)
        loader = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        batches = loader.batch_sampler.batches
        wanted = plots.evenly_spaced(self.examples, sum(map(len, batches))) - self.seen
        self.seen += len(y)
        wanted = wanted[(wanted >= 0) & (wanted < len(y))].to(y.device)
        self.chosen.append((x[wanted], probabilities[wanted], y[wanted]))
        wrong = (predicted != y).nonzero()[:, 0]
        candidates: tuple[Tensor, ...] = (
            x[wrong],
            probabilities[wrong],
            y[wrong],
            confidence[wrong],
        )
        if self.mistakes is not None:
            candidates = tuple(
                torch.cat(pair) for pair in zip(self.mistakes, candidates, strict=True)
            )
        worst = candidates[3].topk(min(self.examples, len(candidates[3]))).indices
        self.mistakes = tuple(part[worst] for part in candidates)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.draw(trainer, "val", "validation")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.draw(trainer, "test", "test")

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        counts = trainer.strategy.reduce(self.counts, reduce_op="sum")
        if not trainer.is_global_zero:
            return
        names = trainer.datamodule.class_names
        matrix = counts.view(len(names), len(names)).cpu()
        total, right = int(matrix.sum()), int(matrix.diag().sum())
        of = f"{self.run.experiment}, {word} set: {right:,} of {total:,} right ({right / max(total, 1):.2%})"
        self.save(trainer, plots.confusion_matrix(matrix, names, of), f"confusion_matrix_{split}")
        chosen = [torch.cat(part) for part in zip(*self.chosen, strict=True)]
        grids = {
            "predictions": (chosen, "predictions"),
            "mistakes": (self.mistakes, "most confident mistakes"),
        }
        for name, (grid, what) in grids.items():
            if grid is not None and len(grid[0]):
                x, probabilities, y = (part.cpu() for part in grid[:3])
                x = trainer.datamodule.displayable(x)
                captions = [f"true: {names[k]}" for k in y.tolist()]
                title = f"{self.run.experiment}, {word} set: {what} (true class in orange)"
                self.save(
                    trainer,
                    plots.top5_grid(x, probabilities, y, names, captions, title),
                    f"{name}_{split}",
                )
                for logger in trainer.loggers:
                    if isinstance(logger, WandB):
                        logger.log_samples(f"{name}_{split}", x, probabilities, y, names)
