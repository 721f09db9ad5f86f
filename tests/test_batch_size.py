"""A run that goes on in mid-epoch with another batch size trains the rest of the epoch."""

import json
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch

from project.cli.main import CLI
from project.run.folder import find_run
from tests.test_stops import go_on, rows


class Crash(Exception):
    pass


class Crashes(L.Callback):
    """Ends the first epoch in its middle."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, i: int
    ) -> None:
        if i == 13:
            raise Crash


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [  # 1,294 training samples: 20 batches of 64, of which 13 come before the stop
        (["--data.batch_size=64"], ["--data.batch_size=32"], 13 + (1294 - 13 * 64) // 32),
        (["--data.batch_size=64"], ["--data.batch_size=128"], 13 + (1294 - 13 * 64) // 128),
        (["--data.batch_size=64"], ["--data.batch_size=100"], 13 + (1294 - 13 * 64) // 100),
        (["--data.batch_size=64"], ["--trainer.accumulate_grad_batches=2"], 20),
    ],
)
def test_the_rest_of_an_epoch_is_trained_with_another_batch_size(
    before: list[str],
    after: list[str],
    steps: int,
    fit: Callable[..., CLI],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from project.data.sampler import TensorImages

    seen: list[int] = []
    get = TensorImages.__getitems__
    monkeypatch.setattr(
        TensorImages, "__getitems__", lambda self, i: seen.extend(i.tolist()) or get(self, i)
    )
    stop = [
        "--last_checkpoint.every_n_steps=13",
        "--trainer.limit_val_batches=0",
        "--trainer.max_epochs=1",
    ]
    stop += ["--model_checkpoint.monitor=train/loss"]
    with pytest.raises(Crash):
        fit(*before, *stop, "--trainer.callbacks+=tests.test_batch_size.Crashes")
    run = find_run(Path("runs/digits"))
    assert torch.load(run.checkpoint("last"), weights_only=True)["global_step"] == 13
    del seen[13 * 64 :]
    cli = go_on(run, *after, "--trainer.callbacks=[]")
    assert cli.trainer.global_step == steps
    assert (
        len(seen) == len(set(seen)) > 1294 - 128
    )  # none twice, and none left out but of the last batch
    # The schedule has come to its end, and not before.
    assert cli.model.lr_factor(cli.trainer.global_step - 1) == pytest.approx(0, abs=0.02)
    assert cli.model.lr_factor(cli.trainer.global_step - 3) > 0


@pytest.mark.slow
def test_a_resumed_epoch_with_another_batch_size_is_followed_by_whole_ones(
    fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = ["--last_checkpoint.every_n_steps=13", "--trainer.max_epochs=3"]
    with pytest.raises(Crash):
        fit(*stop, "--trainer.callbacks+=tests.test_batch_size.Crashes")
    run = find_run(Path("runs/digits"))
    cli = go_on(run, "--data.batch_size=32", "--trainer.callbacks=[]")
    assert cli.trainer.global_step == 13 + (1294 - 13 * 64) // 32 + 2 * (1294 // 32)
    assert [row["epoch"] for row in rows(run) if row["val/acc"]] == ["0", "1", "2"]
    assert json.loads(run.environment.read_text())["steps"] == cli.trainer.global_step
