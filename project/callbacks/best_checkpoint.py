"""The best checkpoint of a run, and further ones that Lightning's ModelCheckpoint can keep."""

from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from project.errors import UserError
from project.run.checkpoint_files import link_or_copy
from project.run.folder import Run

RESERVED = ("best", "last", "previous")  # names of the run's own checkpoints


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which always keeps its best as the run's ``best.ckpt``.

    By default that is the only one. With another ``save_top_k``, ``filename`` or ``dirpath`` the
    checkpoints have the names that Lightning documents, and ``best.ckpt`` is a hard link to the
    best of them, or a copy where links are not possible.

    Args:
        monitor: Metric by which the best is chosen; None for the objective's.
        mode: Whether the least or the greatest value is the best; None for what the objective says.
        save_top_k: Number of best checkpoints that are kept; -1 for all.
        filename: Name of the checkpoints without suffix, such as ``{epoch}-{step}``.
        **kwargs: Other arguments of ModelCheckpoint.

    Raises:
        UserError: No best checkpoint would be saved, or something else under its name.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        save_top_k: int = 1,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            monitor=monitor, mode=mode or "min", save_top_k=save_top_k, filename=filename, **kwargs
        )
        triggers = (self._every_n_epochs, self._every_n_train_steps, self._train_time_interval)
        if save_top_k == 0 or not any(triggers):
            error = (
                " saves nothing with save_top_k 0 or every_n_epochs 0, but a run needs its best "
                "checkpoint: leave that out, or give --trainer.enable_checkpointing false"
            )
        elif filename in RESERVED and (filename, save_top_k) != ("best", 1):
            error = f".filename {filename} is taken: give one such as '{{epoch}}-{{step}}'"
        elif self.save_on_exception:
            error = ".save_on_exception would overwrite the best checkpoint: leave it out"
        else:
            refuse_save_last(self)
            return
        raise UserError(f"--model_checkpoint{error}")

    @property
    def state_key(self) -> str:
        """The callback's name in checkpoints, which does not depend on its arguments."""
        return "BestCheckpoint"

    dirpath: str | None
    filename: str | None

    def attach(self, run: Run) -> None:
        """Save to the folder of ``run``, under the names described above."""
        self.best = run.checkpoint("best")
        if self.dirpath is None:
            self.dirpath = str(run.checkpoints)
            if self.filename is None and self.save_top_k == 1:
                self.filename = "best"
        if self.filename == "best":
            self._enable_version_counter = False

    def _save_topk_checkpoint(self, trainer: L.Trainer, monitor_candidates: dict[str, Any]) -> None:
        super()._save_topk_checkpoint(trainer, monitor_candidates)
        path = Path(self.best_model_path)
        if self.best_model_path and path != self.best:
            if trainer.is_global_zero and not (self.best.exists() and self.best.samefile(path)):
                link_or_copy(path, self.best)
            trainer.strategy.barrier()


def attach_others(callbacks: list[L.Callback], run: Run) -> None:
    """Let the user's own ModelCheckpoints save to the run's folder, unless they have another.

    Raises:
        UserError: One of them would overwrite the run's own checkpoints.
    """
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            refuse_save_last(callback)
            if callback.dirpath is None:
                callback.dirpath = str(run.checkpoints)
            if callback.filename in RESERVED and Path(callback.dirpath) == run.checkpoints:
                raise UserError(
                    f"the run has its own {callback.filename}.ckpt: "
                    "give the callback another filename"
                )


def refuse_save_last(callback: ModelCheckpoint) -> None:
    """Raise UserError if a callback is to save ``last.ckpt``, which a run always has."""
    if callback.save_last:
        raise UserError(
            "save_last would do nothing, as --last_checkpoint always saves last.ckpt: leave it out"
        )
