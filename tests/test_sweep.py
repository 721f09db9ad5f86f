"""Sweeps with Optuna, by files in W&B's format."""

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

from project.cli.arguments import DEFAULT_CONFIG, read_arguments
from project.cli.main import CLI, main
from project.commands.sweep.file import read_sweep
from project.commands.sweep.trial import Parsed

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


def test_files_that_are_wrong(tmp_path: Path, fails: Fails) -> None:
    def said(**changes: Any) -> str:
        return fails("sweep", write(tmp_path / "w.yaml", **changes))

    lr = {"optimizer.lr": {"min": 0.1, "max": 1.0}}
    assert "has the unknown key metrics: did you mean metric?" in said(metrics={})
    assert "has the unknown key minimum: did you mean min?" in said(
        parameters={"optimizer.lr": {"minimum": 1}}
    )
    assert "cannot be" not in said(parameters={**lr, "optimizer.lrr": {"value": 1}})
    assert "lrr" in said(parameters={**lr, "optimizer.lrr": {"value": 1}})
    assert "hidden" in said(parameters={**lr, "model.hidden": {"values": [[8], "wide"]}})
    assert "would spoil it" in said(metric={"name": "test/acc", "goal": "maximize"})
    assert "is not one of bayes, random, grid" in said(method="hyperopt")
    assert "distribution q_beta" in said(parameters={"optimizer.lr": {"distribution": "q_beta"}})
    assert "a grid needs values" in said(method="grid", parameters=lr)
    assert "greater max" in said(parameters={"optimizer.lr": {"min": 1, "max": 0.1}})
    assert "${args}" in said(command=["python", "train.py"])
    assert "hyperband" in said(early_terminate={"type": "median"})
    assert "the sweep's metric val/f1 is not logged: give one of val/loss" in said(
        metric={"name": "val/f1"}
    )
    assert "cannot read the config" in fails("sweep", "nowhere.yaml")
    assert "values must be a list, not 0.1" in said(parameters={"optimizer.lr": {"values": 0.1}})
    assert "min must be a number, not small" in said(
        parameters={"optimizer.lr": {"min": "small", "max": 1}}
    )
    assert "needs a min above 0" in said(
        parameters={"optimizer.lr": {"distribution": "log_uniform_values", "min": 0, "max": 1}}
    )
    assert "parameters must be keys of fit" in said(parameters=["optimizer.lr"])
    assert "min_iter must be 1 epoch or more" in said(
        early_terminate={"type": "hyperband", "min_iter": 0}
    )


def test_numbers_that_yaml_takes_for_words(tmp_path: Path) -> None:
    file = tmp_path / "n.yaml"
    text = yaml.safe_dump({**SWEEP, "parameters": {}})
    parameters = "{optimizer.lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}}"
    file.write_text(text.replace("parameters: {}", f"parameters: {parameters}"))
    parameter = read_sweep(file).parameters["optimizer.lr"]
    assert (parameter["min"], parameter["max"]) == (1e-4, 0.1)


def test_shipped_file_serves_wandb_too() -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    content = yaml.safe_load(SHIPPED.read_text())
    values = {
        "optimizer.lr": 0.003,
        "model.dropout": 0.25,
        "model.hidden": [512, 256],
        "trainer.max_epochs": 15,
    }
    assert content["parameters"].keys() == values.keys()
    args = create_sweep_command_args(
        {"args": {name: {"value": value} for name, value in values.items()}}
    )
    command = create_sweep_command(content["command"])
    words = [w for word in command for w in (args["args"] if word == "${args}" else [word])]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(DEFAULT_CONFIG.parent.parent)
        config = Parsed(read_arguments(words[words.index("fit") :])).full_config()
        assert read_sweep(Path("configs/sweeps/digits.yaml")).words == [
            "--config",
            "configs/digits.yaml",
        ]
    assert config["optimizer"]["init_args"]["lr"] == 0.003
    assert config["model"]["init_args"]["dropout"] == 0.25
    assert config["model"]["init_args"]["hidden"] == [512, 256]
    assert config["trainer"]["max_epochs"] == 15
