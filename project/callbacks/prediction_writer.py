"""Files with the prediction for each sample of a split, and with the scores of each class."""

import csv
import io
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from project.callbacks.class_scores import class_scores, decided, score_rows
from project.callbacks.plots import SPLITS, gathered, output_names
from project.loggers.wandb import WandB
from project.run.folder import run_of, write_atomically


class PredictionWriter(L.Callback):
    """Writes ``predictions_val.csv`` after `validate`, and ``predictions_test.csv`` after `test`.

    A row is a sample: its index in the training or test set, and for a classification its true and
    predicted class and the predicted class's probability, otherwise the true and predicted values.
    For classes and labels, ``per_class_val.csv`` and ``per_class_test.csv`` have the precision,
    recall, F1 and support of each.
    """

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.predictions: list[Tensor] = []
        self.true: list[Tensor] = []

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        if trainer.state.fn in SPLITS:
            predictions, y = pl_module.objective.predictions(outputs.float()), batch[1]
            if is_class(y):  # all probabilities of many classes would take much memory
                confidence, predicted = predictions.max(1)
                predictions = torch.stack([confidence, predicted], dim=1)
            self.predictions.append(predictions)
            self.true.append(y)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        run = run_of(trainer)
        if trainer.state.fn not in SPLITS or run is None:
            return
        split = SPLITS[trainer.state.fn][0]
        predictions, true = gathered(trainer, self.predictions), gathered(trainer, self.true)
        loader: Any = trainer.test_dataloaders if split == "test" else trainer.val_dataloaders
        indices = gathered(trainer, [sample_indices(loader, sum(map(len, self.true)))])
        if not trainer.is_global_zero:
            return
        names, order = output_names(trainer.datamodule, pl_module.num_classes), indices.argsort()
        table = indices[order], true[order], predictions[order]
        classes = is_class(true)
        rows = class_rows(*table, names) if classes else value_rows(*table, names)
        write_table(run.sample_predictions(split), rows)
        pair = (true, predictions[:, 1].long()) if classes else None
        pair = pair or decided(pl_module.objective, true, predictions)
        if pair is not None:
            scores = class_scores(*pair, len(names))
            write_table(run.class_scores(split), score_rows(scores, names))
        for logger in trainer.loggers:
            if isinstance(logger, WandB) and classes:
                predicted = predictions[:, 1].long().tolist()
                logger.log_confusion(split, true.tolist(), predicted, names)

    on_test_start, on_test_batch_end = on_validation_start, on_validation_batch_end
    on_test_end = on_validation_end


def write_table(path: Path, rows: list[list[Any]]) -> None:
    """Write rows as a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_atomically(path, text.getvalue())


def sample_indices(loader: Any, count: int) -> Tensor:
    """Indices in its dataset of the first ``count`` samples that a loader gave."""
    batches = getattr(loader.batch_sampler, "batches", None)
    if batches is None:  # a loader of the user's own
        return torch.arange(count)
    indices = torch.cat(list(batches))
    unreadable = getattr(loader.dataset, "unreadable", None)  # such images are in no batch
    return (indices if unreadable is None else indices[~unreadable[indices]])[:count]


def is_class(y: Tensor) -> bool:
    """Whether targets are one class for each sample (N,)."""
    return y.ndim == 1 and y.dtype == torch.int64


def class_rows(indices: Tensor, true: Tensor, predictions: Tensor, names: Any) -> list[list[Any]]:
    """Header and rows of a classification, from classes (N,), and confidence and class (N, 2)."""
    confidence, predicted = predictions[:, 0], predictions[:, 1].long()
    columns = (indices.tolist(), true.tolist(), predicted.tolist(), confidence.tolist())
    header = ["index", "true", "true_name", "predicted", "predicted_name", "confidence"]
    rows = [[i, y, names[y], k, names[k], f"{p:.6f}"] for i, y, k, p in zip(*columns, strict=True)]
    return [header, *rows]


def value_rows(indices: Tensor, true: Tensor, predictions: Tensor, names: Any) -> list[list[Any]]:
    """Header and rows of values (N,) or (N, K): those that are true, then those predicted."""
    true = true.view(len(true), -1)
    columns = [f"{what}_{name}" for what in ("true", "predicted") for name in names]
    values = torch.cat([true.float(), predictions], dim=1).tolist()
    rows = [[i, *(f"{v:.6g}" for v in vs)] for i, vs in zip(indices.tolist(), values, strict=True)]
    return [["index", *columns], *rows]
