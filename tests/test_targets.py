"""Targets of other tasks than single-label classification are refused before the first step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

TARGETS = """
import torch
from torch.utils.data import DataLoader
from project.data import Digits
from project.data.sampler import TensorImages
from project.models import MLP

class MultiHot(Digits):
    def load(self, train):
        data = super().load(train)
        return TensorImages(data.x, torch.nn.functional.one_hot(data.y, 10) | (torch.arange(10) < 2).long())

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

class BinaryCrossEntropy(MLP):
    def loss(self, x, y):
        logits = self(x)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, y.float()), logits
"""


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(Path().absolute())


@pytest.mark.usefixtures("targets")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "MultiHot",
            "MultiHot has targets of type int64 and shape [1438, 10], but needs one class a sample",
        ),
        ("Real", "Real has targets of type float32 and shape [1438], but needs one class a sample"),
        ("TooMany", "TooMany has classes from 0 to 9, but num_classes is 9"),
        ("OwnLoader", "the targets of a training batch are float32 of shape [64, 10]"),
    ],
)
def test_other_targets_are_refused(
    data: str, said: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, closure: steps.append(float(closure()))
    )
    args = [
        f"--data=targets.{data}",
        "--model=targets.BinaryCrossEntropy",
        "--trainer.max_epochs=1",
    ]
    assert said in fails(
        "fit", *args, "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"
    )
    assert not steps
