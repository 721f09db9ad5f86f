"""Targets other than classes: the wrong objective is refused at once, and the right one trains."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.cli.main import CLI, main
from tests.conftest import QUIET

TARGETS = """
import torch
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader
from project.data import Digits, ImageDataModule
from project.data.sampler import TensorImages

class MultiHot(Digits):
    def load(self, train):
        data = super().load(train)
        y = torch.nn.functional.one_hot(data.y, 10) | (torch.arange(10) < 2).long()
        return TensorImages(data.x, y)

class Real(Digits):
    def load(self, train):
        data = super().load(train)
        return TensorImages(data.x, data.y.float())

class TooMany(Digits):
    num_classes = 9

class OwnLoader(Digits):
    def train_dataloader(self):
        y = torch.nn.functional.one_hot(self.train_set.y, 10).float() + (torch.arange(10) < 2)
        return DataLoader(list(zip(self.train_set.x, y)), batch_size=64)

class Patients(ImageDataModule):
    num_classes, input_shape, class_names = 1, (10,), ["progression"]
    mean, std = (0.0,) * 10, (442**-0.5,) * 10

    def load(self, train):
        x, y = map(torch.from_numpy, load_diabetes(return_X_y=True))
        y = (y - y.mean()) / y.std()
        part = torch.arange(442) % 5 != 0 if train else torch.arange(442) % 5 == 0
        return TensorImages(x[part].float(), y[part].float())
"""
FIT_MLP = ["fit", *QUIET, "--model=MLP", "--trainer.max_epochs=1"]
REGRESSION = [
    *("--data=targets.Patients", "--data.batch_size=32", "--objective=Regression", "--model=MLP"),
    *("--optimizer=AdamW", "--optimizer.lr=0.003", "--optimizer.weight_decay=0.1"),
]


@pytest.fixture(autouse=True)
def targets(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(Path().absolute())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("MultiHot", "the targets of a batch are int64 of shape [128, 10], but"),
        ("Real", "the targets of a batch are float32 of shape [128], but"),
        ("OwnLoader", "the targets of a batch are float32 of shape [64, 10], but"),
        ("TooMany", "TooMany has classes from 0 to 9, but num_classes is 9"),
    ],
)
def test_other_targets_are_refused(
    data: str, said: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    step = lambda self, closure: steps.append(float(closure()))  # noqa: E731
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    message = fails(*FIT_MLP, f"--data=targets.{data}")
    assert said in message
    assert data == "TooMany" or "choose another --objective" in message
    assert not steps


def test_a_regression_on_features_trains_resumes_and_is_tested(fit: Callable[..., CLI]) -> None:
    """Least squares reaches an r2 of 0.5 on these 89 held-out patients."""
    whole = fit(*REGRESSION, "--trainer.max_epochs=12")
    part = fit(*REGRESSION, "--trainer.max_epochs=12", "--trainer.max_steps=70")
    run = str(part.run.folder)
    resumed = fit(f"--run={run}", "--trainer.max_steps=-1")
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)
    tested = main(["test", *QUIET, f"--run={run}"])
    assert tested is not None
    assert float(tested.trainer.callback_metrics["test/r2"]) >= 0.45


@pytest.mark.slow
@pytest.mark.needs("compare", "report")
def test_regressions_are_compared_and_reported(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    for hidden in ("[]", "[4]"):
        cli = fit(*REGRESSION, "--trainer.max_epochs=1", f"--model.hidden={hidden}")
        main(["test", *QUIET, f"--run={cli.run.folder}"])
    main(["compare", "runs/patients_mlp"])
    said = capsys.readouterr().out
    assert "test/r2" in said
    assert "the test counts correct classes" in said
    main(["report", "runs/patients_mlp"])
    page = Path("runs/patients_mlp/report.html").read_text()
    assert "the test counts correct classes" in page
    assert "Predicted and true values, test set" in page


@pytest.mark.needs("compare")
def test_runs_without_predictions_are_compared(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    for width in (2, 4):
        model = ["--model=tests.tasks.Autoencoder", f"--model.width={width}", "--data=Digits"]
        fit(*model, "--trainer.max_epochs=1")
    main(["compare", "runs/autoencoder_digits"])
    assert "no run has predictions of the val set" in capsys.readouterr().out
