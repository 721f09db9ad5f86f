"""Real SIGKILLs, and a signal within an accumulated batch."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from project.cli.main import main
from project.run.folder import find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences
from tests.test_resume import ARGS, ROOT, Stop


@pytest.mark.slow
def test_accumulated_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal waits for the last part of a batch; the parts make the same step as the whole."""
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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_real_kills(tmp_path: Path) -> None:
    """SIGKILL to real processes; ``python -m tests.kill_and_resume`` kills more of them."""
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
