"""A plain LightningModule goes through the commands, with nothing of a `Task`."""

from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from project.cli.main import main
from project.run.checkpoint_io import loaded_step

QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
NET = f"{__name__}.Net"


class Net(L.LightningModule):
    """One linear layer, with an optimiser and logging of its own.

    Args:
        rate: Learning rate.
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.rate, self.layer = rate, torch.nn.Linear(64, 10)

    def loss(self, batch: list[Tensor]) -> Tensor:
        """Cross-entropy of a batch of (N, 1, 8, 8) images and N labels."""
        images, labels = batch[:2]
        return F.cross_entropy(self.layer(images.flatten(1)), labels)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/loss", self.loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.rate)


def fit(runs: Path, epochs: int) -> list[str]:
    """The words of a training."""
    words = ["fit", "--model", NET, "--data", "Digits", "--trainer.max_epochs", str(epochs)]
    return [*words, "--trainer.accelerator", "cpu", "--runs_dir", str(runs), *QUIET]


def test_plain_module_trains_resumes_exactly_and_is_tested(tmp_path: Path) -> None:
    whole = main(fit(tmp_path / "whole", 2))
    first = main(fit(tmp_path / "parts", 1))
    assert whole
    assert first
    assert type(first.model).__name__ == "Net"

    again = main(["fit", "--run", str(first.run.folder), "--trainer.max_epochs", "2"])
    assert again
    assert again.trainer.global_step == whole.trainer.global_step
    assert torch.equal(again.model.layer.weight, whole.model.layer.weight)

    tested = main(["test", "--run", str(first.run.folder)])
    assert tested
    assert tested.result["test/loss"] > 0
    assert loaded_step(tested.trainer) == whole.trainer.global_step


@pytest.mark.parametrize("flag", ["--optimizer=SGD", "--objective.label_smoothing=0.1"])
def test_key_that_the_module_does_not_take_is_refused(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*fit(tmp_path, 1), flag])
    assert ended.value.code == 2
    key = flag.removeprefix("--").split("=")[0].split(".")[0]
    assert f"--{key} would do nothing here, because Net takes no {key}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
