"""What ends a training, and what happens when it is asked to go on after that."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.conftest import QUIET

STOPPED = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
STOPPED += ["--trainer.callbacks.patience=1", "--optimizer.lr=0.1", "--lr_schedule=Constant"]


def rows(run: Run) -> list[dict[str, str]]:
    with run.metrics.open() as file:
        return list(csv.DictReader(file))


def go_on(run: Run, *args: str) -> CLI:
    cli = main(["fit", "--run", str(run.folder), *args, *QUIET])
    assert cli is not None
    return cli


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.slow
def test_early_stopping_stays_stopped(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    fit(*STOPPED)
    run = find_run(Path("runs/digits"))
    before = {path: path.read_bytes() for path in (run.metrics, *run.checkpoints.iterdir())}
    for _ in range(2):
        capsys.readouterr()
        go_on(run)
        assert "EarlyStopping has ended it: raise its patience" in said(capsys)
        assert {
            path: path.read_bytes() for path in (run.metrics, *run.checkpoints.iterdir())
        } == before
    epochs = len(rows(run))
    config = run.config.read_text()
    assert "patience: 1" in config
    run.config.write_text(
        config.replace("patience: 1", "patience: 3")
    )  # and goes on with more of it
    go_on(run)
    assert len(rows(run)) > epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "flag"),
    [
        ("max_steps=30", "max_steps"),
        ("max_epochs=1", "max_epochs"),
        ("max_time=00:00:00:01", "max_time"),
    ],
)
def test_the_limit_that_was_hit_is_named(
    limit: str, flag: str, fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    fit(f"--trainer.{limit}", *(["--trainer.max_epochs=100000"] if flag == "max_time" else []))
    capsys.readouterr()
    go_on(find_run(Path("runs/digits")))
    assert f"complete, so nothing was done (raise --trainer.{flag})" in said(capsys)


@pytest.mark.parametrize("limit", ["limit_train_batches=0", "max_epochs=0", "max_steps=0"])
def test_a_limit_that_trains_nothing_is_refused(limit: str, fails: Callable[..., str]) -> None:
    assert "trains nothing" in fails("fit", f"--trainer.{limit}", *QUIET)
    assert not list(Path("runs").glob("*/*"))


@pytest.mark.parametrize("flags", [[], ["--trainer.max_time=01:00:00:00"]])
def test_a_training_without_an_end_is_warned_of(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stop = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
    stop += ["--trainer.callbacks.stopping_threshold=100"]  # after the first epoch
    stop += ["--trainer.limit_train_batches=1", "--objective.plots=false"]
    main(["fit", "--model=MLP", "--data=Digits", *stop, *flags, *QUIET])
    warned = [line for line in capsys.readouterr().err.splitlines() if "max_epochs" in line]
    assert len(warned) == (0 if flags else 1)
    assert all(
        "1,000 epochs of Lightning's default: give --trainer.max_epochs" in w for w in warned
    )


@pytest.mark.slow
def test_a_single_sample_under_batch_norm_is_refused(
    fails: Callable[..., str], fit: Callable[..., CLI]
) -> None:
    assert "batch norm needs more than one sample" in fails("fit", "--data.batch_size=1", *QUIET)
    fit(
        "--data.batch_size=1",
        "--model.batch_norm=false",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=3",
    )


OWN_OPTIMIZER = """
import torch
from project.models import MLP

class Own(MLP):
    def configure_optimizers(self):
        layers = {"params": self.layers.parameters(), "lr": 0.4}
        optimizer = torch.optim.SGD([layers, {"params": self.head.parameters(), "lr": 0.1}])
        halving = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": halving}
"""


@pytest.mark.slow
def test_an_optimizer_and_schedule_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_optimizer.py").write_text(OWN_OPTIMIZER)
    monkeypatch.syspath_prepend(Path().absolute())
    own = ["--model=own_optimizer.Own", "--data=Digits", "--experiment=own", *QUIET]
    main(["fit", *own, "--trainer.max_epochs=2"])
    cli = go_on(find_run(Path("runs/own")), "--trainer.max_epochs=3")
    assert [group["lr"] for group in cli.trainer.optimizers[0].param_groups] == [0.05, 0.0125]


def test_learning_rate_monitor_logs_the_rate_of_the_step(fit: Callable[..., CLI]) -> None:
    cli = fit(
        "--trainer.max_epochs=2",
        "--trainer.log_every_n_steps=1",
        "--trainer.callbacks+=LearningRateMonitor",
    )
    history = rows(find_run(Path("runs/digits")))
    assert len(history) == 40
    for row in history:
        assert float(row["lr-AdamW/pg1"]) == pytest.approx(float(row["lr"]), rel=1e-9)
        assert float(row["lr"]) == pytest.approx(
            0.003 * cli.model.lr_schedule((int(row["step"]) + 0.5) / 40), rel=1e-9
        )


@pytest.mark.slow
def test_a_run_that_ended_in_mid_epoch_goes_on_in_it(fit: Callable[..., CLI]) -> None:
    steady = ["--lr_schedule=Constant", "--trainer.max_epochs=3", "--trainer.log_every_n_steps=10"]
    fit(*steady, "--trainer.max_steps=30", "--experiment=parts")
    parts, whole = find_run(Path("runs/parts")), fit(*steady, "--experiment=whole")
    go_on(parts, "--trainer.max_steps=-1")
    assert parts.metrics.read_text() == find_run(Path("runs/whole")).metrics.read_text()
    state = torch.load(parts.checkpoint("last"), weights_only=True)["state_dict"]
    assert all(torch.equal(value, state[name]) for name, value in whole.model.state_dict().items())
