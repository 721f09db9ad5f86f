"""A run is a folder, ``runs/<experiment>/<id>/``, that is enough to test, resume, predict or export it."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from project.errors import UserError
from project.run.jobs import is_launched_child, job_name


@dataclass(frozen=True)
class Run:
    """The names of everything in a run's folder."""

    folder: Path

    @property
    def experiment(self) -> str:
        return self.folder.parent.name

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def group(self) -> str:
        """The experiment, and how the run differs from its file in more than the seed."""
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
        """What the latest `validate` (``val``) or `test` (``test``) said of each sample."""
        return self.folder / f"predictions_{split}.csv"

    @property
    def to_resume(self) -> list[Path]:
        """Checkpoints that the run can go on from, the newest first."""
        return [self.checkpoints / f"{name}.ckpt" for name in ("last", "previous", "best")]

    def checkpoint(self, which: str) -> Path:
        """The file of ``best`` or ``last``, or of a path."""
        return (
            self.checkpoints / f"{which}.ckpt"
            if which in ("best", "last")
            else Path(which).absolute()
        )


def find_run(path: Path) -> Run:
    """The run in the folder ``path``, or the newest run of the experiment that ``path`` is the folder of.

    Raises:
        UserError: There is none.
    """
    if (path / "config.yaml").is_file():
        return Run(path.absolute())
    runs = sorted(path.glob("*/config.yaml"), key=lambda config: config.stat().st_mtime)
    if not runs:
        raise UserError(
            f"--run {path} is not a run (no config.yaml in it): give a folder runs/<experiment>/<id>"
        )
    return Run(runs[-1].parent.absolute())


def new_run(runs_dir: Path, experiment: str, difference: str = "") -> Run:
    """A run in a folder made for it, with ``difference`` at the end of its id; all processes of one job get the same.

    Raises:
        UserError: The folder cannot be made.
    """
    if is_launched_child():
        return Run(Path(os.environ["PROJECT_RUN_FOLDER"]))
    name, job = f"{datetime.now():%Y%m%d-%H%M%S}", job_name()
    folder = runs_dir.absolute() / experiment / ((job or name) + difference)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):  # two runs may start in the same second
            try:
                folder.mkdir(exist_ok=job is not None)
                break
            except FileExistsError:
                folder = folder.with_name(f"{name}-{attempt}{difference}")
    except OSError as error:
        raise UserError(
            f"cannot make the run's folder {folder} ({error.strerror}): give another --runs_dir"
        ) from None
    os.environ["PROJECT_RUN_FOLDER"] = str(folder)
    return Run(folder)


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or none: another process may be reading it.

    Raises:
        UserError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}): give another file, or free its disk"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def common_folder(folders: list[Path]) -> Path:
    """The deepest folder above all of ``folders``."""
    return Path(os.path.commonpath([folder.parent for folder in folders]))


def now() -> str:
    """Local time with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def shown(path: Path) -> str:
    """``path`` as it is typed from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


# What tells the runs of a group apart, at the end of their names.
REPEATS = {"data.fold": "fold", "seed_everything": "seed"}


def group_of(difference: str) -> str:
    """A difference without what tells the runs of a group apart."""
    return re.sub(r"([+-])fold\d+(?=-|$)|([+-])seed-?\d+(?=-|$)", "", difference)
