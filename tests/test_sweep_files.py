"""Sweep files, in W&B's format."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from project.cli.arguments import DEFAULT_CONFIG, read_arguments
from project.cli.main import CLI
from project.commands.sweep.file import read_sweep
from tests.test_sweep import SHIPPED, SWEEP, Fails, write

pytestmark = pytest.mark.needs("sweep")


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
    assert "the sweep's metric val/auroc is not logged: give one of val/loss" in said(
        metric={"name": "val/auroc"}
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


@pytest.mark.slow
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
        config = CLI(read_arguments(words[words.index("fit") :])).full_config()
        assert read_sweep(Path("configs/sweeps/digits.yaml")).words == [
            "--config",
            "configs/digits.yaml",
        ]
    assert config["optimizer"]["init_args"]["lr"] == 0.003
    assert config["model"]["init_args"]["dropout"] == 0.25
    assert config["model"]["init_args"]["hidden"] == [512, 256]
    assert config["trainer"]["max_epochs"] == 15
