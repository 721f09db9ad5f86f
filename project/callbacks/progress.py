"""The progress bar."""

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar


class ProgressBar(RichProgressBar):
    """Lightning's RichProgressBar, drawn five times a second at most.

    Drawing can take longer than a training step of a small model.
    """

    next_time = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        now = time.monotonic()
        if now > self.next_time or args[-1] + 1 == trainer.num_training_batches:
            self.next_time = now + 0.2
            super().on_train_batch_end(trainer, *args)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)  # the summary gives the run in full
        return {**getattr(pl_module, "train_metrics", {}), **metrics}
