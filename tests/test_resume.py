"""A run that was stopped at any moment and goes on equals one that was left alone, bit for bit."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import lightning as L
import pytest

from project.callbacks import LastCheckpoint
from project.cli.main import main
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences, equal

ROOT = Path(__file__).parent.parent
Fails = Callable[..., str]
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
        ("on_validation_batch_end", 40),
        ("on_validation_end", 40),
        ("on_train_epoch_end", 60),
    ],
)
def test_crash(when: tuple[str, int], whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stop, "when", when)
    monkeypatch.setattr(Stop, "what", crash)
    with pytest.raises(Crash):
        main(["fit", *ARGS, "--experiment=crashed"])
    main(["fit", "--run", "runs/crashed", *QUIET])
    assert differences(whole, find_run(Path("runs/crashed"))) == []


@pytest.mark.parametrize(
    ("option", "crashes"), [("limit_train_batches=15", 1), ("val_check_interval=0.5", 2)]
)
def test_crash_in_validation(option: str, crashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an epoch ends before its loader does, and in mid-epoch; the second crash comes before any training."""
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
        (signal.SIGTERM, ("on_train_batch_end", 33), 2.0),
        (signal.SIGUSR1, ("on_validation_batch_end", 20), 0.0),
        (signal.SIGINT, ("on_validation_batch_end", 40), 2.0),
        (signal.SIGUSR1, ("on_train_epoch_end", 60), 2.0),
    ],
)
def test_signal(
    signum: signal.Signals, when: tuple[str, int], long: float, whole: Run, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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


def test_accumulated_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between the parts of a global batch waits for its last; the parts make the same step as the whole."""
    same = [
        "--model.batch_norm=false",
        "--model.dropout=0",
        "--data.augment=null",
        "--trainer.log_every_n_steps=1",
    ]
    parts = [
        *ARGS[:3],
        "--trainer.max_epochs=1",
        "--trainer.callbacks+=tests.test_resume.Stop",
        *same,
    ]
    main(["fit", *parts, "--experiment=one"])
    main(["fit", *parts, "--experiment=four", "--trainer.accumulate_grad_batches=4"])
    monkeypatch.setattr(Stop, "when", ("on_train_batch_end", 13))
    monkeypatch.setattr(Stop, "what", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        main(["fit", *parts, "--experiment=again", "--trainer.accumulate_grad_batches=4"])
    main(["fit", "--run=runs/again", *QUIET])
    one, four, again = (find_run(Path("runs") / name) for name in ("one", "four", "again"))
    assert differences(four, again) == []
    left, right = (
        [line.split(",")[4] for line in run.metrics.read_text().splitlines()[1:]]
        for run in (one, four)
    )
    assert len(left) == len(right) == 20
    assert [float(v) for v in left] == pytest.approx([float(v) for v in right], rel=1e-5)


@pytest.mark.timeout(400)
def test_real_kills(tmp_path: Path) -> None:
    """SIGKILL to real processes; more of them by hand: ``python -m tests.kill_and_resume --help``."""
    options = ["--kills=1", "--longest=0.5", f"--folder={tmp_path / 'kills'}"]
    command = [
        sys.executable,
        "-m",
        "tests.kill_and_resume",
        *options,
        "--",
        *ARGS[:-1],
        "--trainer.max_epochs=20",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kills; equal bit for bit" in done.stdout


@pytest.mark.parametrize(
    ("minutes", "fraction", "epochs", "expected"),
    [
        (
            "1e-9",
            0.0,
            1,
            [*range(1, 20), 20, 20],
        ),  # within the epoch, before its validation, after it
        ("10", 0.0, 3, [20, 60]),  # before the first validation, which may be long, and at the end
        ("10", 1e9, 3, [20, 20, 40, 60]),
    ],
)
def test_intervals(
    minutes: str, fraction: float, epochs: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, save = [], LastCheckpoint.save
    monkeypatch.setattr(
        LastCheckpoint, "save", lambda *args: saved.append(args[1].global_step) or save(*args)
    )
    monkeypatch.setattr(LastCheckpoint, "max_fraction", fraction)
    main(
        [
            "fit",
            *QUIET,
            f"--trainer.max_epochs={epochs}",
            f"--last_checkpoint.every_n_minutes={minutes}",
        ]
    )
    assert saved == expected


# ---------------------------------------------------------------- damage


def test_damaged_checkpoints_are_refused_or_whole(finished: Run, tmp_path: Path) -> None:
    source = finished.checkpoint("last")
    data, good = source.read_bytes(), read_checkpoint(source)
    random = Random(0)
    messages = []
    for attempt in range(100):
        path = tmp_path / f"{attempt}.ckpt"
        damaged = bytearray(data)
        if attempt < 50:
            del damaged[random.randrange(len(data)) :]
        else:
            damaged[random.randrange(len(data))] ^= random.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            assert equal(read_checkpoint(path), good)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 90
    assert not any("\n" in message for message in messages)


def test_previous_checkpoint_is_taken_if_the_last_is_damaged(
    run_copy: Run, capsys: pytest.CaptureFixture[str], fails: Fails
) -> None:
    last = run_copy.checkpoint("last")
    last.write_bytes(last.read_bytes()[:-1000])
    more = [*QUIET, "--trainer.max_epochs=3"]
    main(["fit", "--run", str(run_copy.folder), *more])
    said = capsys.readouterr().err
    assert f"cannot read the checkpoint {last}" in said
    assert "going on from previous.ckpt instead" in said
    assert read_checkpoint(last)["global_step"] == 60
    for path in run_copy.to_resume:
        path.write_bytes(b"nonsense")
    assert "start a new run" in fails("fit", "--run", str(run_copy.folder), *more)
