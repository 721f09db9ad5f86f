"""Lightning's stochastic weight averaging (Izmailov et al., 2018) goes through a run."""

from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest
import torch
from torch import Tensor

from project.cli.main import main
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences
from tests.test_resume import Crash, Stop, crash

ARGS = [*QUIET, "--trainer.max_epochs=5", "--last_checkpoint.every_n_steps=7"]
ARGS += ["--trainer.callbacks+=StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.001"]
ARGS += ["--trainer.callbacks.swa_epoch_start=3"]


class Weights(L.Callback):
    """Keeps the weights at the beginning of each epoch."""

    kept: ClassVar[list[dict[str, Tensor]]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        weights = {name: p.detach().clone() for name, p in pl_module.named_parameters()}
        self.kept.append(weights)

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.kept.clear()


@pytest.mark.slow
def test_last_checkpoint_has_the_mean_of_the_weights() -> None:
    flags = ["--model.batch_norm=false", "--trainer.callbacks+=tests.test_swa.Weights"]
    main(["fit", *ARGS, *flags, "--experiment=mean"])
    run = find_run(Path("runs/mean"))
    state = read_checkpoint(run.checkpoint("last"))["state_dict"]
    for name, weight in state.items():
        kept = torch.stack([weights[name] for weights in Weights.kept[2:]])
        torch.testing.assert_close(weight, kept.mean(0))
    assert "test/acc" in str(main(["test", "--run", str(run.folder), "--checkpoint=last"]).result)


@pytest.mark.slow
@pytest.mark.parametrize("step", [33, 66])
def test_killed_run_goes_on_to_the_same(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before averaging begins and after it, with the epoch that renews the norms' statistics."""
    args = [*ARGS, "--trainer.callbacks+=tests.test_resume.Stop"]
    main(["fit", *args, "--experiment=whole"])
    monkeypatch.setattr(Stop, "when", ("on_train_batch_start", step))
    monkeypatch.setattr(Stop, "what", crash)
    with pytest.raises(Crash):
        main(["fit", *args, "--experiment=killed"])
    main(["fit", "--run=runs/killed", *QUIET])
    whole, killed = (find_run(Path("runs") / name) for name in ("whole", "killed"))
    assert differences(whole, killed) == []
