"""The best checkpoint of a run, and the further ones that Lightning's ModelCheckpoint can keep."""

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from project.errors import UserError
from project.run.folder import Run

RESERVED = ("best", "last", "previous")  # names of files in a run's folder of checkpoints


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, of whose checkpoints the best is always ``best.ckpt`` in the run's folder too.

    By default that is the only one. With another ``save_top_k``, ``filename`` or ``dirpath`` the
    checkpoints have the names that Lightning documents, and ``best.ckpt`` is a link to the best of
    them, or a copy where no link can be.

    Args:
        monitor: Metric by which the best is chosen.
        mode: Whether the least or the greatest value is the best.
        save_top_k: How many of the best checkpoints are kept; -1 for all.
        filename: Of the checkpoints without their suffix, such as ``{epoch}-{step}``.
        **kwargs: The other arguments of ModelCheckpoint.
    """

    def __init__(
        self,
        monitor: str | None = "val/acc",
        mode: Literal["min", "max"] = "max",
        save_top_k: int = 1,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            monitor=monitor, mode=mode, save_top_k=save_top_k, filename=filename, **kwargs
        )
        if monitor is None:
            raise UserError(
                "--model_checkpoint.monitor null leaves no best checkpoint: give a metric"
            )
        triggers = (self._every_n_epochs, self._every_n_train_steps, self._train_time_interval)
        if save_top_k == 0 or not any(triggers):
            raise UserError(
                "--model_checkpoint saves nothing with save_top_k 0 or every_n_epochs 0, but a run needs its best "
                "checkpoint: leave that out, or give --trainer.enable_checkpointing false"
            )
        if filename in RESERVED and (filename, save_top_k) != ("best", 1):
            raise UserError(
                f"--model_checkpoint.filename {filename} is taken: give one such as '{{epoch}}-{{step}}'"
            )
        if self.save_on_exception:
            raise UserError(
                "--model_checkpoint.save_on_exception would overwrite the best checkpoint: leave it out"
            )
        refuse_save_last(self)

    dirpath: str | None
    filename: str | None

    def attach(self, run: Run) -> None:
        """Set the folder and the names of the checkpoints to those of a run."""
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


def link_or_copy(path: Path, name: Path) -> None:
    """Let a file have another name too, in place of what had it, without a moment in which that is missing."""
    part = name.with_suffix(f".{os.getpid()}.part")
    name.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.hardlink_to(path)
    except OSError:  # on another file system, or one without links
        shutil.copyfile(path, part)
    part.replace(name)


def attach_others(callbacks: list[L.Callback], run: Run) -> None:
    """Let ModelCheckpoints of the user's own save to the run's folder, unless they have a folder.

    Raises:
        UserError: They would overwrite the run's own checkpoints.
    """
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            refuse_save_last(callback)
            if callback.dirpath is None:
                callback.dirpath = str(run.checkpoints)
            if callback.filename in RESERVED and Path(callback.dirpath) == run.checkpoints:
                raise UserError(
                    f"the run has its own {callback.filename}.ckpt: give the callback another filename"
                )


def refuse_save_last(callback: ModelCheckpoint) -> None:
    """Raise UserError if a callback is to save ``last.ckpt``, which a run always has."""
    if callback.save_last:
        raise UserError(
            "save_last would do nothing, as --last_checkpoint always saves last.ckpt: leave it out"
        )
