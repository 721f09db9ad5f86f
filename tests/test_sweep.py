"""Sweeps with Optuna, in processes that are killed and continued."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import CLI, main

pytestmark = pytest.mark.needs("sweep")
optuna = pytest.importorskip("optuna")
Fails = Callable[..., str]
SHIPPED = DEFAULT_CONFIG.parent / "sweeps" / "digits.yaml"
SWEEP: dict[str, Any] = {
    "program": "project",
    "command": [
        "${env}",
        "${interpreter}",
        "-m",
        "project",
        "fit",
        "--config",
        str(DEFAULT_CONFIG),
        "${args}",
    ],
    "method": "bayes",
    "metric": {"name": "val/acc", "goal": "maximize"},
    "parameters": {
        "optimizer.lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1},
        "model.hidden": {"values": [[16], [32, 16]]},
        "trainer.max_epochs": {"value": 3},
    },
}


def write(path: Path, **changes: Any) -> str:
    path.write_text(yaml.safe_dump({**SWEEP, **changes}))
    return str(path)


def trials(name: str) -> list[Any]:
    storage = f"sqlite:///{Path.cwd()}/runs/sweep_{name}/study.db"
    return list(optuna.load_study(study_name=f"sweep_{name}", storage=storage).get_trials())


def start(file: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "project", "sweep", file, "--trials=4"]
    environment = {**os.environ, "PYTHONPATH": str(DEFAULT_CONFIG.parent.parent)}
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )


@pytest.mark.slow
@pytest.mark.timeout(400)  # seven processes
def test_two_processes_killed_and_continued(tmp_path: Path, fit: Callable[..., CLI]) -> None:
    parameters = {**SWEEP["parameters"], "trainer.max_epochs": {"value": 12}}
    file = write(tmp_path / "s.yaml", parameters=parameters)
    processes = [start(file), start(file)]
    end = time.monotonic() + 120
    while len(list(Path("runs/sweep_s").glob("*/checkpoints/last.ckpt"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed = trials("s")
    assert "RUNNING" in [trial.state.name for trial in killed]
    processes = [start(file), start(file)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    ended = trials("s")
    assert [(trial.number, trial.state.name) for trial in ended] == [
        (i, "COMPLETE") for i in range(4)
    ]
    assert [trial.params for trial in ended[: len(killed)]] == [
        trial.params for trial in killed
    ]  # they went on
    runs = list(Path("runs/sweep_s").glob("*/config.yaml"))
    assert sorted(str(run.parent.absolute()) for run in runs) == sorted(
        trial.user_attrs["run"] for trial in ended
    )
    for run in runs:
        with (run.parent / "metrics.csv").open() as rows:
            validated = [row["step"] for row in csv.DictReader(rows) if row["val/acc"]]
        assert validated == [str(20 * epoch - 1) for epoch in range(1, 13)]
    best = max(ended, key=lambda trial: trial.value)
    config = Path("runs/sweep_s/s_best.yaml")
    assert (
        yaml.safe_load(config.read_text())["optimizer"]["init_args"]["lr"]
        == best.params["optimizer.lr"]
    )
    assert "val/acc" in fit("--config", str(config)).result


def test_grid_with_a_trial_that_diverges_and_one_that_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: Fails
) -> None:
    parameters = {
        "optimizer.lr": {"values": [0.01, 1e30, 1e-7]},
        "trainer.max_epochs": {"value": 2},
    }
    early = {"type": "hyperband", "min_iter": 1, "eta": 2}
    file = write(tmp_path / "g.yaml", method="grid", parameters=parameters, early_terminate=early)
    main(["sweep", file])
    assert "3 trials" in capsys.readouterr().out
    ended = trials("g")
    assert [trial.state.name for trial in ended] == ["COMPLETE", "FAIL", "PRUNED"]
    assert [trial.params["optimizer.lr"] for trial in ended] == ["0.01", "1e+30", "1e-07"]
    assert "became" in ended[1].user_attrs["failed"]
    assert list(ended[2].intermediate_values) == [1]
    other = write(tmp_path / "g.yaml", method="random")
    assert "is the study of another sweep" in fails("sweep", other)
