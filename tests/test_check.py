"""`python -m project check`: what it finds, on data and models that are right and wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from project import data as datasets
from project.cli.main import main
from project.data import Digits
from project.models import Architecture, Classification
from tests.conftest import DATA

pytestmark = pytest.mark.needs("check")
Checked = Callable[..., tuple[dict[str, str], str]]


class Leaky(Architecture):
    """Normalises over the batch in evaluation too, and has a layer that does nothing."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Linear(
            self.input_shape[0] * self.input_shape[1] * self.input_shape[2], self.num_classes
        )
        self.initialize()

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x.flatten(1))
        return x - x.mean(0)


class Shifted(Digits):
    """With the wrong mean, and a test set out of the training set."""

    mean = (0.5,)

    def load(self, train: bool):
        found = super().load(train)
        if not train:
            found.x[:50] = super().load(train=True).x[:50]
        return found


class Guessing(Classification):
    """Gives a number where a formula and a number are due."""

    def chance(self, num_outputs: int):
        return 2.3


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Checked:
    """Runs `check`: gives the verdict of each row, and all that was printed."""

    def run(*args: str, status: int | None = None) -> tuple[dict[str, str], str]:
        if status is None:
            main(["check", *args])
        else:
            with pytest.raises(SystemExit) as stop:
                main(["check", *args])
            assert stop.value.code == status
        said = capsys.readouterr()
        cells = [
            [cell.strip() for cell in line.split("│")[1:3]]
            for line in said.out.splitlines()
            if "│" in line
        ]
        return {name: verdict for name, verdict in cells if name}, said.out + said.err

    return run


@pytest.mark.draws
def test_all_is_well_with_the_digits(checked: Checked) -> None:
    verdicts, said = checked()
    rows = ["files", "checksums", "classes", "splits", "mean and std", "picture"]
    rows += ["loss at the start", "one batch overfits", "gradients", "leaks"]
    assert list(verdicts) == [*rows, "images/s", "whole run"]
    assert set(verdicts.values()) - {"note"} == {"ok"}
    notes = list(verdicts.values()).count("note")
    assert f"12 checks, {notes} to look at" in said
    assert "32 training images after Rotate" in said
    assert "1,797 samples compared by hash: train, val and test have no sample in common" in said
    with Image.open("runs/digits/check.png") as picture:
        assert picture.size[0] > 1000
    assert not list(Path("runs/digits").glob("*/config.yaml"))  # it is no run


def test_wrong_data_are_found(checked: Checked) -> None:
    verdicts, said = checked("--model=MLP", f"--data={__name__}.Shifted", status=2)
    assert [name for name, verdict in verdicts.items() if verdict == "wrong"] == [
        "splits",
        "mean and std",
    ]
    assert "samples of test are in train too" in said
    assert "error: check found 2 problem(s): splits, mean and std" in said


def test_wrong_models_are_found(checked: Checked) -> None:
    verdicts, said = checked(f"--model={__name__}.Leaky", "--data=Digits", status=2)
    assert [name for name, verdict in verdicts.items() if verdict == "wrong"] == [
        "gradients",
        "leaks",
    ]
    assert "none reaches unused.weight, unused.bias" in said


def test_what_chance_must_return_is_said(fails: Callable[..., str]) -> None:
    said = fails("check", f"--objective={__name__}.Guessing")
    assert "Guessing.chance() returned 2.3, but it must return" in said


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [([], "note"), (["--trainer.max_epochs=-1"], "note"), (["--trainer.max_epochs=2"], "ok")],
)
def test_a_run_without_an_end_is_noted(flags: list[str], verdict: str, checked: Checked) -> None:
    verdicts, said = checked("--model=MLP", "--data=Digits", *flags)
    assert verdicts["whole run"] == verdict
    assert ("give --trainer.max_epochs" in said) == (verdict == "note")


def test_what_cannot_learn_is_found(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    verdicts, _ = checked(status=2)
    assert verdicts["one batch overfits"] == "wrong"


@pytest.mark.needs("LeNet", "ImageNet")
@pytest.mark.slow
def test_files_that_cannot_be_read_are_listed(
    checked: Checked, folders: Path, tmp_path: Path
) -> None:
    import shutil

    root = Path(shutil.copytree(folders, tmp_path / "folders"))
    (root / "train" / "n02" / "bad.JPEG").write_bytes(b"no image")
    args = [
        "--model=LeNet",
        "--data=ImageNet",
        f"--data.root={root}",
        "--data.image_size=32",
        "--data.batch_size=8",
    ]
    verdicts, said = checked(*args)
    assert (verdicts["train images"], verdicts["test images"]) == ("note", "ok")
    assert "1 of the 31 looked at cannot be read" in said
    assert "bad.JPEG" in said
    assert "training images after random crops" in said
    (root / "val" / "n01" / "copy.JPEG").write_bytes(
        (root / "train" / "n01" / "3.JPEG").read_bytes()
    )
    verdicts, said = checked(*args, status=2)
    assert verdicts["splits"] == "wrong"


@pytest.mark.skipif(DATA is None, reason="needs the real MNIST and CIFAR-10: set PROJECT_DATA")
@pytest.mark.needs("MNIST", "cifar")
@pytest.mark.parametrize("name", ["MNIST", "CIFAR10"])
def test_statistics_are_those_of_the_real_files(name: str) -> None:
    kind = getattr(datasets, name)
    data = kind(root=str(DATA), download=False)
    x = data.load(train=True).x.double() / 255
    assert tuple(round(v, 4) for v in x.mean((0, 2, 3)).tolist()) == data.mean
    assert tuple(round(v, 4) for v in x.std((0, 2, 3), correction=0).tolist()) == data.std
