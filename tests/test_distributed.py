"""Several processes, which gloo connects on the CPU, against one; real launchers, real signals."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from project.analysis.run_result import RunResult
from project.cli.main import main
from project.run.checkpoint_io import read_checkpoint
from project.run.distributed import RankFailure, check_ranks
from project.run.folder import Run, find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences

pytestmark = pytest.mark.timeout(400)  # each starts many processes

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "configs" / "cluster"
# No batch norm, dropout and augmentation, which depend on the process.
ARGS = [
    *QUIET,
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=3",
    "--trainer.log_every_n_steps=1",
    "--model.batch_norm=false",
    "--model.dropout=0",
    "--data.augment=null",
]
ENV = {
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB", "PROJECT"))
    },
    "PYTHONPATH": str(ROOT),
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "WANDB_MODE": "disabled",
    "OMP_NUM_THREADS": "1",
}


def start(*command: str, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**ENV, **env}
    )


def fit(*args: str) -> subprocess.Popen:
    return start(sys.executable, "-m", "project", "fit", *args)


def ended(process: subprocess.Popen) -> tuple[int, list[str]]:
    """Exit status, and the lines on stderr."""
    _, err = process.communicate(timeout=200)
    return process.returncode, err.splitlines()


def wait_for(pattern: str) -> Path:
    for _ in range(1200):
        if found := list(Path().glob(pattern)):
            return found[0]
        time.sleep(0.1)
    raise TimeoutError(pattern)


def column(run: Run, name: str) -> list[float]:
    with run.metrics.open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


@pytest.mark.slow
def test_two_processes_do_what_one_does() -> None:
    process = fit(*ARGS, "--experiment=two", "--trainer.devices=2")
    main(["fit", *ARGS, "--experiment=one"])
    status, err = ended(process)
    assert status == 0, err
    assert "global batch 64 = 2 devices x 32 x accumulate 1" in err
    one, two = find_run(Path("runs/one")), find_run(Path("runs/two"))
    assert column(two, "train/loss")[:50] == pytest.approx(column(one, "train/loss")[:50], rel=1e-6)
    assert column(two, "val/acc") == column(one, "val/acc")
    left, right = (read_checkpoint(run.checkpoint("last"))["state_dict"] for run in (one, two))
    assert max(float((left[name] - right[name]).abs().max()) for name in left) < 1e-5
    # Each of the 359 test images is counted once by three processes, too.
    command = ["test", "--run", str(two.folder), *QUIET, "--trainer.devices"]
    main([*command, "1"])
    status, err = ended(start(sys.executable, "-m", "project", *command, "3"))
    assert status == 0, err
    alone, shared = (json.loads(line)["test/acc"] for line in two.tests.read_text().splitlines())
    assert shared == alone


@pytest.mark.slow
def test_signal_to_two_processes() -> None:
    """With what depends on the process; it goes on to what an uninterrupted run ends in."""
    args = [*ARGS[:3], "--trainer.max_epochs=10"]
    whole = fit(*args, "--experiment=whole", "--trainer.devices=2")
    assert ended(whole)[0] == 0
    process = fit(*args, "--experiment=stopped", "--trainer.devices=2")
    wait_for("runs/stopped/*/checkpoints/last.ckpt")
    process.send_signal(signal.SIGUSR1)
    status, err = ended(process)
    assert status == 128 + signal.SIGUSR1
    assert sum("ended by SIGUSR1, everything is saved" in line for line in err) == 1
    assert not any("Traceback" in line for line in err)
    status, err = ended(fit("--run=runs/stopped"))
    assert status == 0, err
    assert differences(find_run(Path("runs/whole")), find_run(Path("runs/stopped"))) == []


def test_a_killed_process_is_named_though_its_connection_closes_first() -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 0.3; kill -KILL $$"])
    strategy = SimpleNamespace(launcher=SimpleNamespace(procs=[child]), _timeout=None)
    trainer = SimpleNamespace(world_size=2, global_rank=0, strategy=strategy)
    with pytest.raises(RankFailure, match="rank 1 was ended by SIGKILL"):
        check_ranks(RuntimeError("Connection closed by peer"), trainer)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "said"),
    [
        (signal.SIGKILL, "error: rank 1 was ended by SIGKILL"),
        (signal.SIGSTOP, "no answer in 0:00:20"),
    ],
)
def test_lost_process_ends_the_run(signum: signal.Signals, said: str) -> None:
    strategy = ["--trainer.strategy=DDPStrategy", "--trainer.strategy.timeout=0:00:20"]
    process = fit(*ARGS[:2], "--trainer.max_epochs=5000", "--trainer.devices=2", *strategy)
    wait_for("runs/digits/*/checkpoints/last.ckpt")
    (child,) = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(child), signum)
    status, err = ended(process)
    assert status == 3
    assert said in err[-1]
    assert not any("Traceback" in line for line in err)
    assert read_checkpoint(find_run(Path("runs/digits")).checkpoint("last"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)


@pytest.mark.slow
def test_torchrun() -> None:
    """Two machines of one process each: they agree on the run's folder, and a signal to one stops both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    args = ["--trainer.accelerator=cpu", *QUIET, "--trainer.max_epochs=5000"]
    env = {"NODES": "2", "DEVICES": "1", "PORT": port}
    nodes = [start(str(CLUSTER / "torchrun.sh"), *args, **env, NODE=node) for node in ("0", "1")]
    last = wait_for("runs/digits/*/checkpoints/last.ckpt")
    (worker,) = subprocess.run(
        ["pgrep", "-P", str(nodes[1].pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(worker), signal.SIGTERM)
    status, err = ended(nodes[0])
    assert status == 1  # torchrun's own, for the first process's 143
    assert any("ended by SIGTERM, everything is saved" in line for line in err)
    assert ended(nodes[1])[0] == 1
    assert len(list(Path("runs/digits").iterdir())) == 1
    assert read_checkpoint(last)["global_step"] > 0


def of_kubernetes(node: int) -> tuple[str, dict[str, str]]:
    """What a pod of the Job runs, and its environment."""
    service, job = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text())
    spec, name = job["spec"], job["metadata"]["name"]
    [container] = spec["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["NODES"] == str(spec["completions"]) == str(spec["parallelism"])
    # The name in DNS of an indexed Job's first pod.
    subdomain = spec["template"]["spec"]["subdomain"]
    assert env["HOST"] == f"{name}-0.{subdomain}"
    assert service["metadata"]["name"] == subdomain
    assert service["spec"]["selector"] == {"job-name": name}
    claimed = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == claimed
    *shell, command = container["command"]
    assert shell == ["bash", "-c"]
    return command, {**env, "DEVICES": "1", "JOB_COMPLETION_INDEX": str(node)}


def of_skypilot(node: int) -> tuple[str, dict[str, str]]:
    """What a machine of the task runs, and its environment."""
    task = yaml.safe_load((CLUSTER / "skypilot.yaml").read_text())
    variables = {
        "NUM_NODES": str(task["num_nodes"]),
        "NODE_RANK": str(node),
        "NODE_IPS": "127.0.0.1\n127.0.0.2",
        "NUM_GPUS_PER_NODE": "1",
        "TASK_ID": "sky-managed-2026-01-02-03-04-05-678901_project_1-0",
    }
    return task["run"], {f"SKYPILOT_{name}": value for name, value in variables.items()}


@pytest.mark.slow
@pytest.mark.parametrize("system", [of_kubernetes, of_skypilot])
def test_two_machines_of_a_cluster_train_one_run(
    system: Callable[[int], tuple[str, dict[str, str]]],
) -> None:
    """Their file's own command, with the variables that the system sets and smaller data."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    recipe = "--config configs/imagenet_resnet50.yaml --data.root /data/imagenet"
    digits = (
        f"--config {ROOT}/configs/digits.yaml --trainer.accelerator cpu --trainer.max_epochs 20"
    )

    def train() -> list[subprocess.Popen]:
        nodes = []
        for node in range(2):
            command, env = system(node)
            assert recipe in command
            assert "--runs_dir /runs" in command
            command = command.replace(recipe, digits).replace("/runs", "runs")
            command = command.replace("configs/cluster", str(CLUSTER))
            env = {**env, "PORT": port}
            if "HOST" in env:
                env["HOST"] = "127.0.0.1"
            nodes.append(start("bash", "-c", command, **env))
        return nodes

    nodes = train()
    wait_for("runs/digits/*/checkpoints/last.ckpt")
    evicted = subprocess.run(
        ["pgrep", "-P", str(nodes[1].pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(evicted[0]), signal.SIGTERM)
    for node in nodes:
        assert ended(node)[0] != 0
    for node in train():
        status, err = ended(node)
        assert status == 0, err
    [folder] = Path("runs/digits").iterdir()
    assert read_checkpoint(Run(folder).checkpoint("last"))["epoch"] == 19
    assert len(RunResult(Run(folder)).environments) == 2


def squeue(*args: str) -> str:
    return subprocess.run(["squeue", "-h", *args], capture_output=True, text=True).stdout.strip()


HAS_SLURM = (
    "n1"
    in subprocess.run(
        "sinfo -h -N -o %N", shell=True, capture_output=True, text=True
    ).stdout.split()
)


@pytest.mark.skipif(not HAS_SLURM, reason="needs a Slurm of two nodes on this machine")
def test_slurm_requeues_the_job() -> None:
    args = [
        f"--config={ROOT / 'configs' / 'digits.yaml'}",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=100",
    ]
    jobs = {}
    for name in ("whole", "stopped"):
        command = ["sbatch", "--parsable", str(CLUSTER / "slurm.sh"), *args, f"--experiment={name}"]
        jobs[name] = subprocess.run(
            command, capture_output=True, text=True, env=ENV, check=True
        ).stdout.strip()
        wait_for(f"runs/{name}/{jobs[name]}/checkpoints/last.ckpt")
        if name == "stopped":
            subprocess.run(["scancel", "--signal=USR1", jobs[name]], check=True)
        while squeue("-j", jobs[name]):
            time.sleep(0.5)
    runs = [find_run(Path("runs") / name) for name in jobs]
    assert [run.id for run in runs] == list(jobs.values())
    assert "ended by SIGUSR1" in Path(f"slurm-{jobs['stopped']}.txt").read_text()
    assert differences(*runs) == []


@pytest.mark.skipif(not HAS_SLURM, reason="needs a Slurm of two nodes on this machine")
def test_slurm_names_the_rank_that_was_killed() -> None:
    args = [
        f"--config={ROOT / 'configs' / 'digits.yaml'}",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=5000",
    ]
    command = ["sbatch", "--parsable", str(CLUSTER / "slurm.sh"), *args, "--experiment=killed"]
    job = subprocess.run(
        command, capture_output=True, text=True, env=ENV, check=True
    ).stdout.strip()
    wait_for(f"runs/killed/{job}/checkpoints/last.ckpt")
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().split(b"\0")
        except OSError:
            continue
        mine = f"SLURM_JOB_ID={job}".encode() in environment and b"SLURM_PROCID=1" in environment
        if mine and b"project" in (path.parent / "cmdline").read_bytes():
            os.kill(int(path.parent.name), signal.SIGKILL)
            break
    else:
        pytest.fail("found no process of rank 1")
    while squeue("-j", job):
        time.sleep(0.5)
    assert "task 1: Killed" in Path(f"slurm-{job}.txt").read_text()
