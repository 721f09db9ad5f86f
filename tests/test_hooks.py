"""Hooks of users, on callbacks and on layers, are called as Lightning and PyTorch document it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback

from project import models
from project.cli.main import CLI, main
from tests.conftest import QUIET, existing

SMALL = {"num_classes": 10, "input_shape": (3, 32, 32)}
INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
STAGES = {
    "MLP": (["layers", "head"], {}),
    "LeNet": (["c1", "c3", "f5", "f6", "head"], {}),
    "AlexNet": (["features", "avgpool", "classifier"], {"stem": "small"}),
    "VGG": (["features", "avgpool", "classifier"], {"depth": 11, "stem": "small"}),
    "GoogLeNet": ([f"inception{part}" for part in INCEPTIONS], {"stem": "small"}),
    "ResNet": (["conv1", "layer1", "layer2", "layer3", "layer4", "fc"], {"stem": "small"}),
    "Airbench": (["whiten", "blocks", "head"], {}),
    "ViT": (["conv_proj", "encoder", "encoder.layers", "heads"], {"size": "tiny", "patch": 4}),
    "ConvNeXt": ([f"features.{i}" for i in range(8)], {"size": "atto", "stem": "small"}),
    "EfficientNet": ([f"features.{i}" for i in range(9)], {"stem": "small"}),
    "MobileNetV3": ([f"features.{i}" for i in range(13)], {"size": "small", "stem": "small"}),
}  # fmt: skip


CHECKPOINTED = (
    "VGG", "GoogLeNet", "ResNet", "ViT", "ConvNeXt", "EfficientNet", "MobileNetV3",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "checkpointing"),
    [
        *((name, False) for name in existing(STAGES)),
        *((name, True) for name in existing(CHECKPOINTED)),
    ],
)
def test_forward_hook_on_each_stage_is_called_once(name: str, checkpointing: bool) -> None:
    stages, options = STAGES[name]
    model = getattr(models, name)(
        **SMALL, **options, **({"activation_checkpointing": True} if checkpointing else {})
    )
    calls: Counter[str] = Counter()
    for stage in stages:
        model.get_submodule(stage).register_forward_hook(
            lambda *_, stage=stage: calls.update([stage])
        )
    model(torch.zeros(2, 3, 32, 32)).sum().backward()
    assert calls == dict.fromkeys(stages, 1)


@pytest.mark.parametrize("name", existing(STAGES))
def test_stages_can_be_extracted(name: str) -> None:
    """torchvision's feature extractor, which traces the network, gives what a hook on the stage sees."""
    from torchvision.models.feature_extraction import create_feature_extractor

    stages, options = STAGES[name]
    model, x = getattr(models, name)(**SMALL, **options).eval(), torch.randn(2, 3, 32, 32)
    seen: list[torch.Tensor] = []
    hook = model.get_submodule(stages[0]).register_forward_hook(
        lambda _module, _x, y: seen.append(y.clone())
    )
    model(x)
    hook.remove()
    torch.testing.assert_close(create_feature_extractor(model, [stages[0]])(x)[stages[0]], seen[0])


class Count(LambdaCallback):
    """Counts by a function that sits on the instance."""

    calls: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        names = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
                 "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip
        super().__init__(
            **{name: lambda *_, name=name: self.calls.update([name]) for name in names}
        )


def test_hooks_on_the_instance_are_called(fit: Callable[..., CLI]) -> None:
    Count.calls.clear()
    fit("--trainer.max_epochs=1", "--trainer.callbacks+=tests.test_hooks.Count")
    assert set(Count.calls.values()) == {20}
    assert len(Count.calls) == 6


class OnModel(L.Callback):
    """Sets a hook on the model itself."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        pl_module.on_train_batch_end = lambda *_: Count.calls.update(["model"])  # type: ignore[method-assign]


def test_hooks_on_the_model_instance_are_called(fit: Callable[..., CLI]) -> None:
    Count.calls.clear()
    fit("--trainer.max_epochs=1", "--trainer.callbacks+=tests.test_hooks.OnModel")
    assert Count.calls["model"] == 20


def test_summary_counts_operations(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *QUIET[:1], "--trainer.max_epochs=1"])
    # From 8x8 pixels to 512, 256 and 10 neurons: two operations for each weight.
    assert "Total FLOPs: 332 K" in capsys.readouterr().out


OWN_HOOKS = """
from project.data import Digits

class OwnHooks(Digits):
    def on_before_batch_transfer(self, batch, dataloader_idx):
        x, y = batch
        return x, y

    def on_after_batch_transfer(self, batch, dataloader_idx):
        x, y = batch
        return super().on_after_batch_transfer((x, y), dataloader_idx)
"""


def test_hooks_of_the_users_dataset_get_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's summary gives them its example too, which has no targets."""
    Path("own_hooks.py").write_text(OWN_HOOKS)
    monkeypatch.syspath_prepend(Path().absolute())
    main(["fit", QUIET[0], "--model=MLP", "--data=own_hooks.OwnHooks", "--trainer.max_epochs=1"])
