"""Seeds for every step, so that what a module draws does not depend on what ran before."""

from typing import Any

import lightning as L

from project.run.seeds import derive_seed, seed_device


class StepSeeds(L.Callback):
    """Seeds PyTorch's generators as a function of the run's seed, the batch and the rank.

    Dropout, and whatever else a module draws from them, is then the same in a run that was stopped
    and goes on as in one that was left alone.

    Args:
        seed: The seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # A plain DataLoader draws its order when the epoch begins.
        self.draw_from(trainer, pl_module, trainer.current_epoch, 3)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any
    ) -> None:
        self.draw_from(trainer, pl_module, trainer.fit_loop.total_batch_idx, 1)

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        self.draw_from(trainer, pl_module, batch_idx, 2)

    on_test_batch_start = on_validation_batch_start
    on_predict_batch_start = on_validation_batch_start

    def draw_from(
        self, trainer: L.Trainer, pl_module: L.LightningModule, number: int, purpose: int
    ) -> None:
        """Let PyTorch's generators begin anew."""
        seed = derive_seed(self.seed, number, trainer.global_rank, purpose)
        seed_device(seed, pl_module.device)
