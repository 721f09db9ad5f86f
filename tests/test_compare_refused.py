"""Runs that cannot be compared, and flags of `compare` that cannot be followed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.main import main
from project.run.folder import Run
from tests.conftest import QUIET
from tests.study import copied

pytestmark = pytest.mark.needs("compare")
Fails = Callable[..., str]


@pytest.mark.needs("mnist")
def test_what_cannot_be_compared(
    studied: list[Run], tmp_path: Path, mnist_root: Path, fails: Fails
) -> None:
    a, b = copied([studied[0], studied[2]], tmp_path)
    both = ["compare", str(a.folder), str(b.folder)]
    path = b.sample_predictions("test")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "predict different test samples" in fails(*both)
    path.unlink()
    assert "has no predictions of the test set: python -m project test --run" in fails(*both)
    b.tests.unlink()
    assert "or compare --split val" in fails(*both)
    b.sample_predictions("val").unlink()
    assert "python -m project validate --run" in fails(*both, "--split=val")
    main(
        [
            "fit",
            "--model=MLP",
            "--data=MNIST",
            f"--data.root={mnist_root}",
            "--trainer.max_epochs=1",
            *QUIET,
        ]
    )
    assert "compare runs on the same classes" in fails("compare", str(a.folder), "runs/mlp_mnist")
    assert "nowhere does not exist" in fails("compare", "nowhere")
    assert "runs" in fails("compare")
    assert "unrecognized" in fails("compare", str(a.folder), "--spilt=val")


def test_flags_of_compare_that_cannot_be_followed(
    studied: list[Run], tmp_path: Path, fails: Fails
) -> None:
    run = str(studied[0].folder)
    picture = f"--picture={tmp_path}/p.png"
    assert "--split is of the test between two groups, and here are 1" in fails(
        "compare", run, "--split=test"
    )
    assert f"cannot write {tmp_path}" in fails("compare", run, picture, f"--csv={tmp_path}")
    assert not list(tmp_path.parent.glob("*.part"))
