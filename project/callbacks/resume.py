"""Changes a checkpoint before a run resumes from it: flags win, and batches may change size."""

import logging
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
    StochasticWeightAveraging,
)

from project.callbacks.best_checkpoint import BestCheckpoint
from project.models.task import Task
from project.run.folder import Run

log = logging.getLogger(__name__)

COUNTS = ("ready", "started", "processed", "completed")


class Resume(L.Callback):
    """Changes a checkpoint before it is restored, because flags and the run's folder win over it.

    Args:
        run: That goes on.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stopped_early = False

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        if isinstance(pl_module, Task):
            drop_incompatible_optimizer_state(pl_module, checkpoint)
        self.follow_batch_size(trainer, pl_module, checkpoint)
        states = checkpoint["callbacks"]
        for callback in trainer.callbacks:
            if isinstance(callback, ModelCheckpoint):
                self.follow_folder(callback, states)
            elif isinstance(callback, EarlyStopping) and callback.state_key in states:
                self.follow_patience(callback, states[callback.state_key])

    def follow_folder(self, callback: ModelCheckpoint, states: dict[str, Any]) -> None:
        """Where the folder was moved or copied, the run still knows its best checkpoint."""
        if (
            isinstance(callback, BestCheckpoint) and callback.state_key not in states
        ):  # of an earlier version
            names = ("BestCheckpoint{", "ModelCheckpoint{")
            earlier = next((key for key in states if key.startswith(names)), "")
            states[callback.state_key] = states.pop(earlier, {})
        state, new = states.get(callback.state_key, {}), str(self.run.checkpoints)
        if (old := state.get("dirpath")) and callback.dirpath == new:
            state |= {
                key: value.replace(old, new)
                for key, value in state.items()
                if isinstance(value, str)
            }
            state["best_k_models"] = {
                k.replace(old, new): v for k, v in state["best_k_models"].items()
            }

    def follow_batch_size(
        self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Count an epoch's batches, and the schedule's steps, in batches of the size of now."""
        loop = checkpoint["loops"]["fit_loop"]
        [state] = loop["state_dict"].get("combined_loader") or [{}]
        if "samples" not in state or not hasattr(trainer.datamodule, "train_batches"):
            return  # the loader is the user's own
        reopen_epoch(loop, state["epoch"])
        batches = trainer.datamodule.train_batches(trainer.datamodule.batch_size)
        limit = trainer.limit_train_batches
        total = min(len(batches), limit) if isinstance(limit, int) else int(len(batches) * limit)
        left = min(
            total - state["samples"] // batches.part,
            batches.batches_of(len(batches.indices) - state["samples"]),
        )
        position = total - max(left, 0)
        current = loop["epoch_loop.batch_progress"]["current"]
        shift = position - current["ready"]
        current |= {count: current[count] + shift for count in COUNTS}
        if state["batch_size"] != batches.part * batches.accumulate and trainer.max_steps == -1:
            steps = (state["epoch"] * total + position) // batches.accumulate
            pl_module.skipped_steps = steps - checkpoint["global_step"]

    def follow_patience(self, callback: EarlyStopping, state: dict[str, Any]) -> None:
        """Find whether early stopping ended the run, and still would with the patience of now."""
        waited_out = state["wait_count"] >= max(state["patience"], 1)  # Lightning takes 0 for 1
        others = (
            callback.stopping_threshold is not None or callback.divergence_threshold is not None
        )
        by_other = state["stopped_epoch"] > 0 and not waited_out and others
        state["patience"] = callback.patience
        if state["wait_count"] >= max(callback.patience, 1) or by_other:
            self.stopped_early = True
        else:
            state["stopped_epoch"] = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop |= self.stopped_early
        for callback in trainer.callbacks if trainer.fit_loop.restarted_mid_epoch else ():
            if isinstance(callback, StochasticWeightAveraging):
                start_averaging(callback, trainer, pl_module)


def start_averaging(
    callback: StochasticWeightAveraging, trainer: L.Trainer, pl_module: L.LightningModule
) -> None:
    """Give a run that goes on in mid-epoch the scheduler of its averaging, with the rates it had.

    Lightning does not begin the epoch again, where the callback would do so.
    """
    groups = trainer.optimizers[0].param_groups
    rates = [group["lr"] for group in groups]
    callback.on_train_epoch_start(trainer, pl_module)
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate


def reopen_epoch(loop: dict[str, Any], epoch: int) -> None:
    """Resume inside the epoch in which ``max_steps`` or ``max_time`` ended a run.

    Args:
        loop: State of Lightning's loop over epochs.
        epoch: That the loader was in.
    """
    ended, progress = loop["epoch_loop.batch_progress"]["is_last_batch"], loop["epoch_progress"]
    if not ended and progress["current"]["processed"] == epoch + 1:
        for counts in (progress["current"], progress["total"]):
            counts["processed"] -= 1


def drop_incompatible_optimizer_state(task: Task, checkpoint: dict[str, Any]) -> None:
    """Let the optimiser start afresh where the checkpoint's state is another optimiser's."""
    configured = task.configure_optimizers()
    optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    if not isinstance(optimizer, torch.optim.Optimizer):  # the task has several
        return
    name, groups = type(optimizer).__name__, optimizer.param_groups
    saved = checkpoint["optimizer_states"][0]["param_groups"]
    sizes, saved_sizes = ([len(g["params"]) for g in some] for some in (groups, saved))
    if checkpoint.get("optimizer", name) != name:
        log.info(f"{name} starts afresh: the checkpoint's state is {checkpoint['optimizer']}'s")
        checkpoint["optimizer_states"] = []
    elif len(saved) == len(groups) and saved_sizes != sizes:
        log.info(f"{name} starts afresh: --model.freeze_backbone has changed what it trains")
        checkpoint["optimizer_states"] = []
