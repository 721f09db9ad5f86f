"""Which job and process of it this is: one started by hand, by Lightning, by torchrun or by Slurm's srun."""

import os
from datetime import datetime, timedelta


def is_launched_child() -> bool:
    """Whether Lightning started this process for another device of its parent's run."""
    return (
        "PROJECT_RUN_FOLDER" in os.environ
        and os.environ.get("LOCAL_RANK", "0") != "0"
        and not launcher()
    )


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
    store = TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=wait
    )
    if os.environ["RANK"] == "0" and not store.check(["project/run"]):
        store.set("project/run", name)
    return str(store.get("project/run").decode())
