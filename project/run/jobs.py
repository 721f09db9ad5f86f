"""The job that this process belongs to, started by hand, by Lightning, torchrun or Slurm's srun.

All processes of a job have the same run.
"""

import os
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from project.errors import UserError
from project.run.folder import Run


def new_run(runs_dir: Path, experiment: str, overrides: str = "") -> Run:
    """Make the folder of a new run, the same for all processes of a job.

    Args:
        runs_dir: Folder of all experiments.
        experiment: Name of the experiment.
        overrides: End of the id, which says how the run differs from the experiment's file.

    Raises:
        UserError: The folder cannot be made.
    """
    if is_launched_child():
        return Run(Path(os.environ["PROJECT_RUN_FOLDER"]))
    name, job = f"{datetime.now():%Y%m%d-%H%M%S}", job_name()
    folder = runs_dir.absolute() / experiment / ((job or name) + overrides)
    try:
        for attempt in range(1, 1000):  # two runs may start in the same second
            try:
                folder.mkdir(parents=True, exist_ok=job is not None)
                break
            except FileExistsError:
                folder = folder.with_name(f"{name}-{attempt}{overrides}")
    except OSError as error:
        reason = f"cannot make the run's folder {folder} ({error.strerror})"
        raise UserError(f"{reason}: give another --runs_dir") from None
    os.environ["PROJECT_RUN_FOLDER"] = str(folder)
    return Run(folder)


def remove_run(run: Run) -> None:
    """Remove the folder of a run, and its experiment's folder if there is nothing else in it."""
    shutil.rmtree(run.folder, ignore_errors=True)
    with suppress(OSError):
        run.folder.parent.rmdir()


def is_launched_child() -> bool:
    """Whether Lightning started this process for another device of a run."""
    return (
        "PROJECT_RUN_FOLDER" in os.environ
        and os.environ.get("LOCAL_RANK", "0") != "0"
        and not launcher()
    )


def launcher() -> str | None:
    """The program that started this process as one of several: ``srun``, ``torchrun`` or None."""
    if "SLURM_PROCID" in os.environ and "SLURM_STEP_ID" in os.environ:
        return "srun"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else None


def job_name() -> str | None:
    """The run's name in all processes of a Slurm or torchrun job, also when the job restarts."""
    if launcher() == "srun":
        job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
        return job if step == "0" else f"{job}.{step}"
    if launcher() == "torchrun":
        name = os.environ["TORCHELASTIC_RUN_ID"]
        return name if name != "none" else agreed_name(f"{datetime.now():%Y%m%d-%H%M%S}")
    return None


def agreed_name(name: str) -> str:
    """The first process's ``name`` in all processes of torchrun, by the store that it keeps."""
    from torch.distributed import TCPStore

    wait = timedelta(seconds=60)
    store = TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=wait
    )
    if os.environ["RANK"] == "0" and not store.check(["project/run"]):
        store.set("project/run", name)
    return str(store.get("project/run").decode())
