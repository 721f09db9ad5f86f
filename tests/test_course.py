"""Every part of the course that a config can name, trained through the front door on the real digits."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.main import CLI
from tests.conftest import slow_but
from tests.headers import CONFIGS, fit_commands

PARTS = {
    "SGD": ["--optimizer=SGD", "--optimizer.lr=0.1"],
    "momentum": ["--optimizer=SGD", "--optimizer.lr=0.05", "--optimizer.momentum=0.9"],
    "Nesterov": [
        "--optimizer=SGD",
        "--optimizer.lr=0.05",
        "--optimizer.momentum=0.9",
        "--optimizer.nesterov=true",
    ],
    "Adagrad": ["--optimizer=Adagrad", "--optimizer.lr=0.02"],
    "RMSprop": ["--optimizer=RMSprop", "--optimizer.lr=0.001"],
    "Adam": ["--optimizer=Adam", "--optimizer.lr=0.003"],
    "AdamW": ["--optimizer=AdamW", "--optimizer.lr=0.003"],
    "L2": ["--optimizer=SGD", "--optimizer.lr=0.1", "--optimizer.weight_decay=0.001"],
    "L1": ["--model.l1=0.0001"],
    "relu": ["--model.activation=relu"],
    "tanh": ["--model.activation=tanh"],
    "sigmoid": ["--model.activation=sigmoid"],
    "cross_entropy": ["--objective.loss=cross_entropy"],
    "mse": ["--objective.loss=mse"],
    "label_smoothing": ["--objective.label_smoothing=0.1"],
    "no batch norm, no dropout": ["--model.batch_norm=false", "--model.dropout=0"],
    "one layer of neurons": ["--model.hidden=[]", "--optimizer.lr=0.03"],
    "Constant": ["--lr_schedule=Constant"],
    "Linear": ["--lr_schedule=Linear"],
    "Step": ["--lr_schedule=Step"],
    "OneCycle": ["--lr_schedule=OneCycle"],
}


@pytest.mark.parametrize("name", slow_but(["tanh"], PARTS))
def test_trains(name: str, fit: Callable[..., CLI]) -> None:
    cli = fit("--trainer.max_epochs=10", "--data.augment=null", *PARTS[name])
    assert cli.result["val/acc"] >= 0.9


FILES = sorted(CONFIGS.glob("course/*.yaml"))
FIRST = [(path, fit_commands(path)[0]) for path in FILES]


@pytest.mark.slow
@pytest.mark.draws
@pytest.mark.needs("mnist", "LeNet")
@pytest.mark.parametrize(("path", "command"), FIRST)
def test_config_that_teaches(
    path: Path,
    command: str,
    fit: Callable[..., CLI],
    mnist_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROJECT_DATA", str(mnist_root))
    words = shlex.split(command)
    assert words[:2] == ["--config", f"configs/course/{path.name}"]
    run = fit("--config", str(path), *words[2:]).run
    drawn = re.findall(r"project\.callbacks\.(\w+)", path.read_text())
    for name in drawn:
        assert (run.figures / f"{name.lower()}.gif").stat().st_size < 800_000
    assert drawn


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_lecture_shows_each_config(path: Path) -> None:
    lecture = (CONFIGS / "course" / "README.md").read_text()
    assert set(fit_commands(path)) <= set(fit_commands(CONFIGS / "course" / "README.md"))
    for picture in re.findall(r"\((\.\./\.\./[^)]+\.(?:gif|png))\)", lecture):
        assert (CONFIGS / "course" / picture).exists(), picture
