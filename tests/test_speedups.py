"""The patches of Lightning leave users' hooks alone, change no number, and are undone."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from torch.utils.data import DataLoader

from project.cli.main import CLI
from project.run import speedups

HOOKS = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
         "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip


class Brought(L.Callback):
    """A callback without hooks that a module brings."""


class Own(L.LightningModule):
    """A user's module that knows nothing of this project, with some of the hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = torch.nn.Linear(4, 1), Counter[str]()

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def configure_callbacks(self) -> list[L.Callback]:
        return [Brought()]

    def on_before_backward(self, loss: torch.Tensor) -> None:
        self.calls["on_before_backward"] += 1


class Mixin:
    """Hooks that a callback inherits from another class than Lightning's."""

    def on_after_backward(self, *_: Any) -> None:
        self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1


class Mixed(Mixin, L.Callback):
    pass


def trained(tmp_path: Path, enabled: bool, *callbacks: L.Callback) -> tuple[L.Trainer, Own]:
    torch.manual_seed(0)
    model, data = Own(), DataLoader(torch.randn(6, 4), batch_size=2)
    trainer = L.Trainer(
        max_epochs=2, callbacks=list(callbacks), logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with speedups.applied(trainer, enabled):
        trainer.fit(model, data)
    return trainer, model


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_hooks_of_users_run_and_patches_are_undone(tmp_path: Path) -> None:
    before, environment = vars(L.LightningModule).keys(), dict(os.environ)
    count: Counter[str] = Counter()
    own = LambdaCallback(**{name: lambda *_, name=name: count.update([name]) for name in HOOKS})
    plain, mixed = L.Callback(), Mixed()
    saves = ModelCheckpoint(tmp_path, save_top_k=-1, every_n_train_steps=2, filename="{step}")
    _, model = trained(tmp_path, True, own, plain, mixed, saves)
    assert count == dict.fromkeys(HOOKS, 6)
    assert (model.calls["on_before_backward"], mixed.__dict__["calls"]) == (6, 6)
    assert len(list(tmp_path.glob("step=*.ckpt"))) == 3
    assert not set(HOOKS) & vars(plain).keys()
    assert not set(HOOKS) & vars(model).keys()
    assert vars(L.LightningModule).keys() == before
    assert os.environ == environment
    same = trained(tmp_path, False)[1]
    assert torch.equal(model.layer.weight, same.layer.weight)


class Patched(L.Callback):
    """Looks at what is patched during a training."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.hidden = [name for name in HOOKS if getattr(pl_module, name) is None]
        self.idle = [c.on_train_batch_end for c in trainer.callbacks]
        [brought] = (c for c in trainer.callbacks if isinstance(c, Brought))
        self.hidden_of_brought = [name for name in HOOKS if getattr(brought, name) is None]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_patches_are_there_during_a_training_if_enabled(tmp_path: Path, enabled: bool) -> None:
    look = Patched()
    trained(tmp_path, enabled, look, ModelCheckpoint(tmp_path))
    assert len(look.hidden) == (5 if enabled else 0)
    assert len(look.hidden_of_brought) == (6 if enabled else 0)
    assert (None in look.idle) == enabled


@pytest.mark.filterwarnings("ignore:The .train_dataloader. does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.slow
def test_a_failed_training_leaves_nothing(fit: Callable[..., CLI]) -> None:
    before = vars(L.LightningModule).keys()

    class Fails(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            raise KeyError("of the user's")

    with pytest.raises(KeyError):
        trained(Path(), True, Fails())
    assert vars(L.LightningModule).keys() == before
    assert fit("--trainer.max_epochs=1").result["val/loss"] > 0
    assert vars(L.LightningModule).keys() == before
