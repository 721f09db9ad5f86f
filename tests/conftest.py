"""Tests go through the front door, `project.cli.main`, on small real data, without network, GPU or account."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from project.arguments import DEFAULT_CONFIG
from project.cli import CLI, main
from project.run import Run, find_run

QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the user's account, data or earlier tests reaches a test; its runs go to a folder of its own."""
    for name in [name for name in os.environ if name.startswith(("WANDB", "PROJECT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fit() -> Callable[..., CLI]:
    """``fit`` with further arguments; the digits' config unless they choose another."""

    def run(*args: str) -> CLI:
        cli = main(["fit", *QUIET, *args])
        assert cli is not None
        return cli

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two epochs on the digits, to look at and not to change."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        main(["fit", "--config", str(DEFAULT_CONFIG), *QUIET, "--trainer.max_epochs=2", f"--runs_dir={folder}"])
    return find_run(folder / "digits")


@pytest.fixture
def run_copy(finished: Run, tmp_path: Path) -> Run:
    """A copy of `finished` to change."""
    import shutil

    return Run(Path(shutil.copytree(finished.folder, tmp_path / "copies" / "digits" / finished.id)))


@pytest.fixture(scope="session")
def mnist_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's files with the digits of scikit-learn in them: 1,000 for training and 200 for testing."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images * (255 / 16)).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    root = tmp_path_factory.mktemp("data")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, part in (("train", slice(0, 1000)), ("t10k", slice(1000, 1200))):
        n = len(x[part])
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, n, 28, 28) + x[part].tobytes())
        labels = digits.target[part].astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, n) + labels.tobytes())
    return root


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command line that must end with exit status 2 and one line on stderr, which it gives."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        assert stop.value.code == 2
        # Lightning says the seed and we the batch before anything can be wrong.
        said = ("Seed set to", "global batch", "W&B:")
        lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(said)]
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return run
