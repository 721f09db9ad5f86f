"""A run that was stopped at any moment and goes on equals one that was left alone, bit for bit."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest

from project.callbacks import LastCheckpoint
from project.cli.main import main
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences

ROOT = Path(__file__).parent.parent
# Dropout, augmentation, mixup and weight averaging; 20 steps an epoch, a checkpoint every 7, a line
# every 5.
ARGS = [
    *QUIET,
    *(f"--config={ROOT / 'configs' / name}.yaml" for name in ("digits", "with/ema", "with/mixup")),
    "--trainer.max_epochs=3",
    "--trainer.log_every_n_steps=5",
    "--last_checkpoint.every_n_steps=7",
    "--trainer.callbacks+=tests.test_resume.Stop",
]


class Crash(BaseException):
    """Ends a run as suddenly as SIGKILL does, for what is on the disk."""


class Stop(L.Callback):
    """Calls a function at a hook, after so many optimiser steps, once."""

    when: ClassVar[tuple[str, int] | None] = None
    what: ClassVar[Callable[[], Any]] = print

    def reach(self, hook: str, trainer: L.Trainer) -> None:
        if Stop.when == (hook, trainer.global_step) and trainer.state.fn == "fit":
            Stop.when = None
            Stop.what()

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.reach("on_train_batch_start", trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.reach("on_train_batch_end", trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.reach("on_validation_batch_end", trainer)

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.reach("on_validation_end", trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.reach("on_train_epoch_end", trainer)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        main(["fit", *ARGS, f"--runs_dir={folder}"])
    return find_run(next(folder.iterdir()))


def crash() -> None:
    raise Crash


@pytest.mark.parametrize(
    "when",
    [
        ("on_train_batch_start", 33),
        pytest.param(("on_validation_batch_end", 40), marks=pytest.mark.slow),
        pytest.param(("on_validation_end", 40), marks=pytest.mark.slow),
        pytest.param(("on_train_epoch_end", 60), marks=pytest.mark.slow),
    ],
)
def test_crash(when: tuple[str, int], whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stop, "when", when)
    monkeypatch.setattr(Stop, "what", crash)
    with pytest.raises(Crash):
        main(["fit", *ARGS, "--experiment=crashed"])
    main(["fit", "--run", "runs/crashed", *QUIET])
    assert differences(whole, find_run(Path("runs/crashed"))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "crashes"), [("limit_train_batches=15", 1), ("val_check_interval=0.5", 2)]
)
def test_crash_in_validation(option: str, crashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of a limited epoch, and within one; the second crash comes before any training."""
    args = [*ARGS, f"--trainer.{option}"]
    main(["fit", *args, "--experiment=whole"])
    monkeypatch.setattr(LastCheckpoint, "long_validation", 0.0)
    monkeypatch.setattr(Stop, "what", crash)
    for command in (["fit", *args, "--experiment=crashed"], ["fit", "--run=runs/crashed", *QUIET])[
        :crashes
    ]:
        monkeypatch.setattr(Stop, "when", ("on_validation_batch_end", 30))
        with pytest.raises(Crash):
            main(command)
    main(["fit", "--run=runs/crashed", *QUIET])
    assert differences(find_run(Path("runs/whole")), find_run(Path("runs/crashed"))) == []


@pytest.mark.parametrize(
    ("signum", "when", "long"),  # seconds of a validation that gets a checkpoint of its own
    [
        (signal.SIGINT, ("on_validation_batch_end", 40), 2.0),
        *(
            pytest.param(*values, marks=pytest.mark.slow)
            for values in [
                (signal.SIGTERM, ("on_train_batch_end", 33), 2.0),
                (signal.SIGUSR1, ("on_validation_batch_end", 20), 0.0),
                (signal.SIGUSR1, ("on_train_epoch_end", 60), 2.0),
            ]
        ),
    ],
)
def test_signal(
    signum: signal.Signals, when: tuple[str, int], long: float, whole: Run,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(Stop, "when", when)
    monkeypatch.setattr(Stop, "what", lambda: os.kill(os.getpid(), signum))
    monkeypatch.setattr(LastCheckpoint, "long_validation", long)
    with pytest.raises(SystemExit) as stop:
        main(["fit", *ARGS, "--experiment=stopped"])
    assert stop.value.code == 128 + signum
    run = find_run(Path("runs/stopped"))
    line = f"ended by {signum.name}, everything is saved: python -m project fit --run {run.folder}"
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert read_checkpoint(run.checkpoint("last"))["global_step"] in (when[1], when[1] + 1)
    main(["fit", "--run", str(run.folder), *QUIET])
    assert differences(whole, run) == []
