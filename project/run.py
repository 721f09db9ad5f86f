"""A run is a folder, ``runs/<experiment>/<id>/``, that is enough to test, resume, predict or export it."""

import json
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from project.errors import UserError, writing
from project.names import group_of


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
        return self.checkpoints / f"{which}.ckpt" if which in ("best", "last") else Path(which).absolute()


def find_run(path: Path) -> Run:
    """The run in the folder ``path``, or the newest run of the experiment that ``path`` is the folder of.

    Raises:
        UserError: There is none.
    """
    if (path / "config.yaml").is_file():
        return Run(path.absolute())
    runs = sorted(path.glob("*/config.yaml"), key=lambda config: config.stat().st_mtime)
    if not runs:
        raise UserError(f"--run {path} is not a run (no config.yaml in it): give a folder runs/<experiment>/<id>")
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
        raise UserError(f"cannot make the run's folder {folder} ({error.strerror}): give another --runs_dir") from None
    os.environ["PROJECT_RUN_FOLDER"] = str(folder)
    return Run(folder)


def is_launched_child() -> bool:
    """Whether Lightning started this process for another device of its parent's run."""
    return "PROJECT_RUN_FOLDER" in os.environ and os.environ.get("LOCAL_RANK", "0") != "0" and not launcher()


def launcher() -> str | None:
    """What started this process as one of several: ``srun`` or ``torchrun``."""
    if "SLURM_PROCID" in os.environ and "SLURM_STEP_ID" in os.environ:
        return "srun"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else None


def job_name() -> str | None:
    """What all processes of a Slurm or torchrun job call their run, also when the job is started again."""
    if launcher() == "srun":
        job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
        return job if step == "0" else f"{job}.{step}"
    if launcher() == "torchrun":
        name = os.environ["TORCHELASTIC_RUN_ID"]
        return name if name != "none" else agreed_name(f"{datetime.now():%Y%m%d-%H%M%S}")
    return None


def agreed_name(name: str) -> str:
    """The first process's name on all processes of torchrun, which keeps a store for them."""
    from torch.distributed import TCPStore

    wait = timedelta(seconds=60)
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=wait)
    if os.environ["RANK"] == "0" and not store.check(["project/run"]):
        store.set("project/run", name)
    return str(store.get("project/run").decode())


def describe_environment(seed: int) -> dict[str, Any]:
    """What a run depends on besides its config."""
    import torch

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "time": now(),
        "command": shlex.join(sys.orig_argv),
        "seed": seed,
        "host": platform.node(),
        "platform": platform.platform(),
        "device": cuda or [f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"],
        "python": platform.python_version(),
        "git": git_state(),
        "packages": dict(sorted((d.name, d.version) for d in distributions())),
    }


def git_state() -> dict[str, str] | None:
    """Commit and uncommitted changes of this code; None outside a git checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

    try:
        return {
            "commit": git("rev-parse", "HEAD").strip(),
            "status": git("status", "--porcelain"),
            "diff": git("diff", "HEAD"),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def record_environment(run: Run, seed: int, adapted: dict[str, Any]) -> dict[str, Any]:
    """Write environment.json; a run that goes on keeps the earlier entries under ``before``.

    Args:
        run: Whose it is.
        seed: It trains with.
        adapted: What differs from its config on this machine.
    """
    before = json.loads(run.environment.read_text(encoding="utf-8")) if run.environment.exists() else None
    history = [*before.pop("before"), before] if before else []
    environment = {**describe_environment(seed), "adapted": adapted, "before": history}
    write_atomically(run.environment, json.dumps(environment, indent=2))
    return environment


def record_outcome(run: Run, steps: int, best: dict[str, Any]) -> None:
    """Note in environment.json how many steps were trained, and the step and validation metrics of best.ckpt."""
    environment = json.loads(run.environment.read_text(encoding="utf-8"))
    write_atomically(run.environment, json.dumps({**environment, "steps": steps, "best": best}, indent=2))


def record_test(run: Run, checkpoint: Path, step: int, complete: bool, result: dict[str, float]) -> int:
    """Append one look at the test set to tests.jsonl, and count them.

    Args:
        run: The run.
        checkpoint: That was tested.
        step: It was saved at.
        complete: Whether all of the test set was looked at.
        result: Metrics.
    """
    known = {"time": now(), "checkpoint": str(checkpoint), "step": step, "split": "test", "complete": complete}
    line = {**known, **result, "commit": (git_state() or {}).get("commit")}
    text = run.tests.read_text(encoding="utf-8") if run.tests.exists() else ""
    with (
        writing(run.tests),
        run.tests.open("a", encoding="utf-8") as file,
    ):  # a line may have been cut off by a full disk
        file.write(("\n" if text and not text.endswith("\n") else "") + json.dumps(line) + "\n")
    return len(text.splitlines()) + 1


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
        raise UserError(f"cannot write {path} ({error.strerror}): give another file, or free its disk") from None
    finally:
        part.unlink(missing_ok=True)


def now() -> str:
    """Local time with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def shown(path: Path) -> str:
    """``path`` as it is typed from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
