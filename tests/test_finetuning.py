"""Layer decay against timm's, rates by patterns, and gradual unfreezing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from project import models
from project.callbacks import GradualUnfreezing
from project.models import MLP, Architecture
from project.optim import Muon
from tests.conftest import is_there
from tests.test_distributed import ARGS as ONE_OR_TWO
from tests.test_distributed import ended
from tests.test_distributed import fit as start_fit
from tests.test_optimizers import SHORT, resumed_equals_whole


class Wrapped(Architecture):
    """A network of timm."""

    head_names = ("network.head", "network.fc")

    def __init__(self, name: str, arguments: dict, **kwargs: Any) -> None:
        super().__init__(num_classes=7, input_shape=(3, 32, 32), **kwargs)
        import timm

        self.network = timm.create_model(name, num_classes=7, **arguments)
        self.initialize()


def options(groups: list[dict], names: dict[nn.Parameter, str]) -> dict[str, tuple[float, float]]:
    """The rate and the weight decay of each parameter."""
    return {
        names[p]: (round(group["lr"], 12), group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


NETWORKS = [("resnet18", {}), ("resnet50", {}), ("vit_tiny_patch16_224", {"img_size": 32})]


@pytest.mark.parametrize(("name", "arguments"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_layer_decay_equals_timms(name: str, arguments: dict) -> None:
    pytest.importorskip("timm")
    from timm.optim import param_groups_layer_decay

    def adamw(params: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(params, lr=0.1, weight_decay=0.05)

    model = Wrapped(name, arguments, optimizer=adamw, layer_decay=0.75)
    network = model.network
    theirs = param_groups_layer_decay(network, weight_decay=0.05, layer_decay=0.75)
    for group in theirs:
        group["lr"] = 0.1 * group.pop("lr_scale")
    expected = options(theirs, {p: name for name, p in network.named_parameters()})

    ours = model.configure_optimizers()["optimizer"].param_groups
    names = {p: name for name, p in network.named_parameters()}
    assert options(ours, names) == expected
    assert len(ours) == len(theirs)
    assert model.base_lr == 0.1
    if name.startswith("resnet") and is_there("ResNet"):  # whose layers have the same names here
        depth: Any = int(name.removeprefix("resnet"))
        own = models.ResNet(depth=depth, num_classes=7, input_shape=(3, 32, 32), layer_decay=0.75)
        own.make_optimizer = model.make_optimizer
        groups = own.configure_optimizers()["optimizer"].param_groups
        assert options(groups, {p: n for n, p in own.named_parameters()}) == expected


@pytest.mark.parametrize(
    ("name", "layers"),  # and the layer of some parameters
    [
        ("MLP", {"layers.0.weight": 0, "layers.2.weight": 1, "head.weight": 2}),
        ("LeNet", {"c1.0.weight": 0, "c3.0.bias": 1, "f5.0.weight": 2, "head.bias": 4}),
        ("AlexNet", {"features.0.weight": 0, "features.3.bias": 1, "classifier.6.weight": 7}),
        ("VGG", {"features.0.weight": 0, "features.2.weight": 1, "classifier.6.bias": 15}),
        ("GoogLeNet", {"conv1.bn.weight": 0, "inception3a.branch1.conv.weight": 3, "fc.bias": 12}),
        ("Airbench", {"whiten.bias": 0, "blocks.0.bn2.bias": 1, "blocks.2.conv1.weight": 3}),
    ],
)
def test_every_network_has_an_order(name: str, layers: dict[str, int]) -> None:
    kind = getattr(models, name, None)
    if kind is None:
        pytest.skip(f"{name} was deleted")
    shape = (3, 32, 32) if name == "Airbench" else (3, 224, 224)
    with torch.device("meta"):
        model = kind(num_classes=7, input_shape=shape)
    found = model.parameter_layers()
    assert {key: found[key] for key in layers} == layers
    assert sorted(set(found.values())) == list(range(max(found.values()) + 1))
    assert list(found) == [name for name, _ in model.named_parameters()]


def test_patterns_give_rates_and_weight_decays(
    fit: Callable, fails: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (
        "{pattern: layers.0, lr_scale: 0.1, weight_decay: 0.3}",
        "{pattern: head, lr_scale: 5}",
    )
    args = [
        "--model.batch_norm=false",
        "--model.dropout=0",
        "--optimizer.lr=0.01",
        *SHORT,
        "--trainer.max_epochs=1",
    ]
    cli = fit(*args, f"--model.param_groups=[{one}, {two}]", "--model.layer_decay=0.5")
    names = {p: name for name, p in cli.model.named_parameters()}
    start = [
        {**group, "lr": group["initial_lr"]} for group in cli.trainer.optimizers[0].param_groups
    ]
    found = options(start, names)
    assert found["layers.0.weight"] == (0.01 * 0.1 * 0.25, 0.3)
    assert found["layers.0.bias"] == (0.01 * 0.1 * 0.25, 0.0)
    assert found["layers.2.weight"] == (0.005, 0.01)
    assert found["head.bias"] == (0.05, 0.0)
    text = "'head' gives lr_scale 5.0 to 2 parameters: head.weight, head.bias"
    assert text in capsys.readouterr().err
    assert "'hed' matches no parameter" in fails(
        "fit", *args, "--model.param_groups=[{pattern: hed, lr_scale: 5}]"
    )
    assert "layer_decay is 2.0" in fails("fit", *args, "--model.layer_decay=2")


class Weights(L.Callback):
    """Keeps which layers change in a step."""

    changed: ClassVar[list[set[str]]] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.before = {n: x.clone() for n, x in pl_module.state_dict().items()}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        after: dict[str, Tensor] = pl_module.state_dict()
        different = {n for n, x in after.items() if not torch.equal(x, self.before[n])}
        self.changed.append({name.rpartition(".")[0] for name in different})


UNFREEZE = ["--trainer.callbacks+=project.callbacks.GradualUnfreezing"]


def test_layers_begin_to_train_one_after_another(fit: Callable) -> None:
    """Their norms' statistics too; an epoch has 20 steps."""
    Weights.changed.clear()
    args = [f"--trainer.callbacks.{key}" for key in ("start=0.25", "end=0.75")]
    args += ["--optimizer=Muon", "--trainer.enable_checkpointing=false"]
    watch = "--trainer.callbacks+=tests.test_finetuning.Weights"
    cli = fit(
        *SHORT, *UNFREEZE, *args, watch, "--model.hidden=[16,16,16]", "--trainer.max_epochs=1"
    )
    third, second = {"layers.8", "layers.9"}, {"layers.4", "layers.5"}
    assert type(cli.trainer.optimizers[0]) is Muon
    assert Weights.changed[0] == Weights.changed[4] == {"head"}
    assert Weights.changed[5] == Weights.changed[9] == {"head"} | third
    assert Weights.changed[10] == Weights.changed[14] == {"head"} | third | second
    assert Weights.changed[15] == {"head", "layers.0", "layers.1"} | third | second


def test_unfreezing_refuses_what_contradicts_it(fails: Callable[..., str]) -> None:
    args = ["fit", *SHORT, *UNFREEZE]
    assert "give one of them" in fails(*args, "--model.freeze_backbone=true")
    with pytest.raises(ValueError, match="fractions of the run"):
        GradualUnfreezing(start=0.6, end=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
def test_unfreezing_goes_on_bit_for_bit(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args = [*UNFREEZE, "--trainer.callbacks.end=0.8", f"--optimizer={optimizer}"]
    resumed_equals_whole(args, monkeypatch, step=25)


@pytest.mark.slow
@pytest.mark.timeout(400)  # it starts processes
@pytest.mark.parametrize("optimizer", ["AdamW", "Muon", "schedulefree.AdamWScheduleFree"])
def test_unfreezing_on_two_processes_equals_one(optimizer: str) -> None:
    args = [*ONE_OR_TWO, *UNFREEZE, f"--optimizer={optimizer}", "--optimizer.lr=0.003"]
    for devices in (1, 2):
        code, err = ended(
            start_fit(*args, f"--trainer.devices={devices}", f"--experiment=on{devices}")
        )
        assert code == 0, err
    one, two = (
        torch.load(
            next(Path(f"runs/on{devices}").glob("*/checkpoints/last.ckpt")), weights_only=True
        )
        for devices in (1, 2)
    )
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weight, atol=2e-4, rtol=1e-3)


def test_a_task_without_heads_has_layers_too() -> None:
    model = MLP(num_classes=3, input_shape=(4,), hidden=(5, 6))
    assert max(model.parameter_layers().values()) == 2
