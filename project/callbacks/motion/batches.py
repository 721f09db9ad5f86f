"""`Batches`: what the training procedure draws."""

from collections.abc import Iterator
from typing import Any

import lightning as L

from project import plots
from project.callbacks.motion.motion import Moment, Motion
from project.data import ImageDataModule
from project.errors import UserError


class Batches(Motion):
    """Draws the samples of each batch of an epoch: a permutation, taken without replacement.

    The hold-out is never drawn, and a few samples are left over where the batch size does not
    divide their number.

    Args:
        frames: Greatest number of batches to show.
        seconds: How long the picture moves.
        epochs: Number of epochs to show, from the first one on.
    """

    name = "batches"

    def __init__(self, frames: int = 24, seconds: float = 8.0, epochs: int = 2) -> None:
        super().__init__(frames, seconds)
        self.epochs = epochs

    def check(self, trainer: L.Trainer, model: Any) -> None:
        data: Any = trainer.datamodule
        if not isinstance(data, ImageDataModule):
            raise UserError("Batches draws data of project.data: leave it out")

    def look(self, trainer: L.Trainer, model: Any) -> Moment:
        return {}  # what is drawn follows from seed and epoch

    def figures(self, trainer: L.Trainer) -> Iterator[Any]:
        data: Any = trainer.datamodule
        batches = data.train_batches(data.batch_size)
        drawn = []
        for epoch in range(self.epochs):
            batches.set_epoch(epoch)
            drawn += [(epoch, list(batches))] * len(batches)
        for i in plots.evenly_spaced(self.frames, len(drawn)).tolist():
            epoch, parts = drawn[i]
            part = i - epoch * len(parts) + 1
            title = f"epoch {epoch + 1}, batch {part} of {len(parts)}"
            yield plots.drawn_batches(len(data.train_set), data.val_indices, parts[:part], title)
