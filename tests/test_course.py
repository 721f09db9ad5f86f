"""Every part of the course that a config can name, trained through the front door on the real digits."""

from collections.abc import Callable

import pytest

from project.cli.main import CLI
from tests.conftest import slow_but

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
