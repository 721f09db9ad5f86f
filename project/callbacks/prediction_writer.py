"""What a network says of each sample of a split, in a file that runs can be compared by."""

import csv
import io
from typing import Any

import lightning as L
import torch
from torch import Tensor

from project.loggers.wandb import WandB
from project.run.folder import Run, write_atomically

COLUMNS = ("index", "true", "true_name", "predicted", "predicted_name", "confidence")


class Predictions(L.Callback):
    """Writes ``predictions_val.csv`` after `validate`, and ``predictions_test.csv`` after `test`; W&B gets a matrix.

    A row is a sample: its index in the training or test set, its true and predicted class, and the
    probability that the network gives to the latter.

    Args:
        run: Whose folder gets the file.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches: list[tuple[Tensor, ...]] = []

    on_test_start = on_validation_start

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        if trainer.state.fn != "fit":
            confidence, predicted = outputs.float().softmax(1).max(1)
            self.batches.append((batch[1], predicted, confidence))

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit":
            self.write(trainer, trainer.val_dataloaders, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.write(trainer, trainer.test_dataloaders, "test")

    def write(self, trainer: L.Trainer, loader: Any, split: str) -> None:
        """Gather the samples of all processes and write them in the order of the set."""
        true, predicted, confidence = (
            torch.cat(part).cpu() for part in zip(*self.batches, strict=True)
        )
        indices = torch.cat(list(loader.batch_sampler.batches))
        unreadable = getattr(loader.dataset, "unreadable", None)  # such images are in no batch
        indices = (indices if unreadable is None else indices[~unreadable[indices]])[: len(true)]
        parts = gathered((indices, true, predicted, confidence))
        indices, true, predicted, confidence = (
            torch.cat(part) for part in zip(*parts, strict=True)
        )
        if not trainer.is_global_zero:
            return
        names, order = trainer.datamodule.class_names, indices.argsort()
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        rows = zip(
            *(column[order].tolist() for column in (indices, true, predicted, confidence)),
            strict=True,
        )
        writer.writerows([i, y, names[y], k, names[k], f"{p:.6f}"] for i, y, k, p in rows)
        write_atomically(self.run.sample_predictions(split), text.getvalue())
        for logger in trainer.loggers:
            if isinstance(logger, WandB):
                logger.log_confusion(split, true.tolist(), predicted.tolist(), names)


def gathered(tensors: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """Tensors of any lengths from all processes, in order of rank."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return [tensors]
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, tensors)
    return parts
