"""The folder ``runs/<experiment>/<id>/`` of a run, enough to test, resume, predict or export it."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from project.errors import UserError


@dataclass(frozen=True)
class Run:
    """A run, by the paths in its folder."""

    folder: Path

    @property
    def experiment(self) -> str:
        return self.folder.parent.name

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def group(self) -> str:
        """The experiment, and the overrides of its file without seed and fold."""
        return self.experiment + group_of("".join(self.id.partition("+")[1:]))

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    @property
    def tests(self) -> Path:
        return self.folder / "tests.jsonl"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.csv"

    def sample_predictions(self, split: str) -> Path:
        """Predictions of each sample by the latest `validate` (``val``) or `test` (``test``)."""
        return self.folder / f"predictions_{split}.csv"

    def class_scores(self, split: str) -> Path:
        """Precision, recall, F1 and support of each class by the same command."""
        return self.folder / f"per_class_{split}.csv"

    @property
    def to_resume(self) -> list[Path]:
        """Checkpoints that the run can resume from, the newest first."""
        return [self.checkpoints / f"{name}.ckpt" for name in ("last", "previous", "best")]

    def checkpoint(self, which: str) -> Path:
        """The file of ``best``, ``last`` or any path."""
        own = which in ("best", "last")
        return self.checkpoints / f"{which}.ckpt" if own else Path(which).absolute()


def find_run(path: Path) -> Run:
    """The run in the folder ``path``, or the newest run in the folder of an experiment.

    Raises:
        UserError: There is none.
    """
    if (path / "config.yaml").is_file():
        return Run(path.absolute())
    if not path.exists():
        raise UserError(f"{path} does not exist: give a folder runs/<experiment>/<id>")
    runs = sorted(path.glob("*/config.yaml"), key=lambda config: config.stat().st_mtime)
    if not runs:
        raise UserError(
            f"{path} is not a run (no config.yaml in it): give a folder runs/<experiment>/<id>"
        )
    return Run(runs[-1].parent.absolute())


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or none, since another process may read it.

    Raises:
        UserError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        reason = f"cannot write {path} ({error.strerror})"
        raise UserError(f"{reason}: give another file, or free its disk") from None
    finally:
        part.unlink(missing_ok=True)


def common_folder(folders: list[Path]) -> Path:
    """The deepest folder above all of ``folders``."""
    return Path(os.path.commonpath([folder.parent for folder in folders]))


def now() -> str:
    """The local time with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def shown(path: Path) -> str:
    """``path`` as one types it here: relative if it lies below this folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


# Keys that differ between the runs of a group, with their words at the end of a run's id.
REPEATS = {"data.fold": "fold", "seed_everything": "seed"}


def group_of(overrides: str) -> str:
    """The overrides in a run's id without seed and fold."""
    return re.sub(r"([+-])fold\d+(?=-|$)|([+-])seed-?\d+(?=-|$)", "", overrides)


def run_of(trainer: Any) -> Run | None:
    """The run that a Trainer writes to; None for a Trainer made without the command line."""
    run = Run(Path(trainer.default_root_dir))
    return run if run.config.exists() else None
