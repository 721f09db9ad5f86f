"""When checkpoints are saved, and what happens to damaged ones."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from project.callbacks import LastCheckpoint
from project.cli.main import main
from project.run.checkpoint_files import link_or_copy
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run
from tests.conftest import QUIET
from tests.kill_and_resume import equal

Fails = Callable[..., str]


@pytest.mark.slow
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


def test_a_second_name_that_is_there_already_leaves_no_part(tmp_path: Path) -> None:
    """As after a kill between the two renames of a save."""
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    last.write_bytes(b"checkpoint")
    for _ in range(2):
        link_or_copy(last, previous)
        assert sorted(tmp_path.iterdir()) == [last, previous]
    assert previous.read_bytes() == b"checkpoint"
