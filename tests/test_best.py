"""best.ckpt is the best checkpoint by the monitored metric, whatever else is kept and wherever."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.conftest import QUIET, a_third_of

# A rate so high that the best epoch is not the last; the monitor of the digits' config is val/loss.
UNSTEADY = ["--model.hidden=[16]", "--model.batch_norm=false", "--model.dropout=0"]
UNSTEADY += ["--optimizer.lr=0.1", "--lr_schedule=Constant", "--trainer.max_epochs=6"]


def steps_by_loss(run: Run) -> list[int]:
    """Steps after each epoch, the one with the lowest validation loss first."""
    with run.metrics.open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/loss"]]
    return [int(row["step"]) + 1 for row in sorted(rows, key=lambda row: float(row["val/loss"]))]


def lowest_loss(run: Run) -> float:
    with run.metrics.open() as file:
        return min(float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"])


def step_of(path: Path) -> int:
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize(
    ("options", "folder", "count"),
    [
        (["save_top_k=2"], None, 2),
        *(
            pytest.param(*values, marks=pytest.mark.slow)
            for values in [
                ([], None, 0),
                (["save_top_k=-1"], None, 6),
                (
                    [
                        "save_top_k=3",
                        "filename={epoch}-{val/loss:.3f}",
                        "auto_insert_metric_name=false",
                    ],
                    None,
                    3,
                ),
                (["filename=kept"], None, 1),
                (["dirpath=elsewhere"], "elsewhere", 1),
                (["save_top_k=2", "dirpath=elsewhere", "filename=same"], "elsewhere", 2),
            ]
        ),
    ],
)
def test_best_of_those_that_are_kept(
    options: list[str], folder: str | None, count: int, fit: Callable[..., CLI]
) -> None:
    fit(*UNSTEADY, *(f"--model_checkpoint.{option}" for option in options))
    run = find_run(Path("runs/digits"))
    order = steps_by_loss(run)
    assert order[0] != 120  # or the last would do
    assert step_of(run.checkpoint("best")) == order[0]
    own = {"best.ckpt", "last.ckpt", "previous.ckpt"}
    kept = [
        p for p in Path(folder or run.checkpoints).rglob("*.ckpt") if folder or p.name not in own
    ]
    assert sorted(map(step_of, kept)) == sorted(order[:count])
    best = main(["validate", "--run", str(run.folder), *QUIET])
    assert best is not None
    assert best.result["val/loss"] == pytest.approx(lowest_loss(run), rel=1e-5)


@pytest.mark.slow
def test_best_stays_the_best_when_a_run_with_several_goes_on(fit: Callable[..., CLI]) -> None:
    fit(*UNSTEADY, "--model_checkpoint.save_top_k=2")
    main(["fit", "--run=runs/digits", "--trainer.max_epochs=9", *QUIET])
    run = find_run(Path("runs/digits"))
    order = steps_by_loss(run)
    assert len(order) == 9
    assert step_of(run.checkpoint("best")) == order[0]
    assert len(list(run.checkpoints.glob("epoch=*.ckpt"))) == 2


@pytest.mark.slow
def test_a_further_checkpoint_callback(fit: Callable[..., CLI]) -> None:
    monitor = ["monitor=train/loss", "save_top_k=2", "filename=train-{step}"]
    fit(
        *UNSTEADY,
        "--trainer.callbacks+=ModelCheckpoint",
        *(f"--trainer.callbacks.{option}" for option in monitor),
    )
    run = find_run(Path("runs/digits"))
    assert step_of(run.checkpoint("best")) == steps_by_loss(run)[0]
    assert len(list(run.checkpoints.glob("train-step=*.ckpt"))) == 2


@pytest.mark.slow
def test_state_of_earlier_versions_is_known(run_copy: Run) -> None:
    """Their callback was Lightning's own; its worse checkpoints must not replace the best."""
    path = run_copy.checkpoint("last")
    checkpoint = torch.load(path, weights_only=True)
    states = checkpoint["callbacks"]
    monitored = "{'monitor': 'val/loss', 'mode': 'min'}"
    states[f"ModelCheckpoint{monitored}"] = states.pop("BestCheckpoint")
    del checkpoint["skipped_steps"]
    checkpoint["lr_schedulers"] = []
    [loader] = checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    loader |= {"delivered": loader.pop("samples") // loader.pop("batch_size")}
    torch.save(checkpoint, path)
    before = run_copy.checkpoint("best").read_bytes()
    worse = ["--trainer.max_epochs=3", "--optimizer.lr=10", "--lr_schedule=Constant"]
    main(["fit", "--run", str(run_copy.folder), *worse, *QUIET])
    assert run_copy.checkpoint("best").read_bytes() == before


CALLBACK, OPTION = "--trainer.callbacks+=", "--trainer.callbacks."
OWN = "--model_checkpoint."
REFUSED = [
    ([f"{OWN}save_top_k=0"], "a run needs its best checkpoint"),
    ([f"{OWN}every_n_epochs=0"], "a run needs its best checkpoint"),
    ([f"{OWN}monitor=val_loss"], "--model_checkpoint monitors val_loss, which is not logged"),
    ([f"{OWN}filename=last"], "filename last is taken"),
    ([f"{OWN}filename=best", f"{OWN}save_top_k=2"], "filename best is taken"),
    ([f"{OWN}save_on_exception=true"], "would overwrite the best checkpoint"),
    ([f"{OWN}save_last=true"], "always saves last.ckpt"),
    ([f"{CALLBACK}ModelCheckpoint", f"{OPTION}save_last=true"], "always saves last.ckpt"),
    ([f"{CALLBACK}ModelCheckpoint", f"{OPTION}filename=best"], "its own best.ckpt"),
    ([f"{CALLBACK}EarlyStopping", f"{OPTION}monitor=val_loss"], "EarlyStopping monitors"),
]


@pytest.mark.parametrize(("args", "said"), a_third_of(REFUSED))
def test_refused(args: list[str], said: str, fails: Callable[..., str]) -> None:
    assert said in fails("fit", *args, *QUIET)
    assert not list(Path("runs").glob("*/*"))


OWN_METRIC = """
from project.models import MLP

class Own(MLP):
    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        self.log("val/own", -float(self.global_step))
"""


def test_a_metric_of_the_users_own_model_can_be_monitored(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is greatest after the first epoch."""
    Path("own_metric.py").write_text(OWN_METRIC)
    monkeypatch.syspath_prepend(Path().absolute())
    own = ["--model=own_metric.Own", "--data=Digits", "--model_checkpoint.monitor=val/own"]
    cli = main(["fit", *own, "--trainer.max_epochs=2", "--experiment=own", *QUIET])
    assert cli is not None
    assert step_of(find_run(Path("runs/own")).checkpoint("best")) == cli.trainer.global_step // 2
