"""Muon and SAM against PyTorch and loops written by hand, and optimisers of other packages."""

import math
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from project import models
from project.cli.main import CLI, main
from project.cli.messages import EXTRAS
from project.optim import SAM, Muon
from project.optim.newton_schulz import newton_schulz
from project.run.folder import find_run
from tests.conftest import QUIET
from tests.kill_and_resume import differences
from tests.test_resume import Crash, Stop, crash

SHAPES = [(12, 5), (5, 12), (8, 3, 3, 3), (4, 2, 5, 5)]
SHORT = [*QUIET, "--trainer.max_epochs=2", "--last_checkpoint.every_n_steps=7"]


def trained(make: Callable, flat: bool) -> list[torch.Tensor]:
    """Parameters after five steps with the same gradients, as kernels or as flattened matrices."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    if flat:
        params = [nn.Parameter(p.detach().flatten(1)) for p in params]
    optimizer = make(params)
    for _ in range(5):
        for p, shape in zip(params, SHAPES, strict=True):
            p.grad = torch.randn(shape, generator=generator).view_as(p)
        optimizer.step()
    return [p.detach().flatten(1) for p in params]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has it from 2.9 on")
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.02},
        {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.8, "nesterov": False},
        {"lr": 0.01, "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw"},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_equals_torchs_on_flattened_matrices(
    options: dict, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's computes in bfloat16 alone, which is replaced for float32."""
    options = {"weight_decay": 0.0, **options}
    if dtype == torch.float32:
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    expected = trained(partial(torch.optim.Muon, **options), flat=True)
    monkeypatch.setattr("project.optim.muon.newton_schulz", partial(newton_schulz, dtype=dtype))
    found = trained(partial(Muon, **options), flat=False)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 1e-3)


def test_muon_steps_are_orthogonal() -> None:
    for shape in [(7, 20), (20, 7)]:
        matrix = torch.randn(shape)
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        found = newton_schulz(matrix, 5)
        between = u.T @ found @ v.T
        assert torch.allclose(between, between.diag().diag(), atol=1e-4)
        assert 0.6 < float(between.diag().min()) <= float(between.diag().max()) < 1.3


def test_muon_trains_the_rest_by_adamw() -> None:
    """A group that Muon does not train equals PyTorch's AdamW, with both kernels."""
    for fused in (None, True):
        results = []
        options: dict[str, Any] = {"betas": (0.9, 0.95), "weight_decay": 0.1, "fused": fused}
        for kind in (partial(Muon, adamw_lr=0.01), partial(torch.optim.AdamW, lr=0.01)):
            torch.manual_seed(0)
            layer = nn.Linear(7, 5)
            params = layer.parameters()
            group = [{"params": params, "use_muon": False}] if kind.func is Muon else params
            optimizer = kind(group, **options)
            for _ in range(20):
                optimizer.zero_grad()
                layer(torch.randn(16, 7)).square().mean().backward()
                optimizer.step()
            results.append(layer.weight.detach().clone())
        torch.testing.assert_close(*results)


@pytest.mark.needs("LeNet")
def test_muon_gets_the_hidden_weights() -> None:
    model = models.LeNet(
        batch_norm=True,
        optimizer=partial(Muon, lr=0.02, weight_decay=0.5, adamw_lr=0.003),
        num_classes=10,
        input_shape=(1, 28, 28),
    )
    groups = model.configure_optimizers()["optimizer"].param_groups
    names = {p: name for name, p in model.named_parameters()}
    found = [
        (group["use_muon"], group["lr"], group["weight_decay"], [names[p] for p in group["params"]])
        for group in groups
    ]
    norms = [
        f"{layer}.1.{name}" for layer in ("c1", "c3", "f5", "f6") for name in ("weight", "bias")
    ]
    assert found == [
        (False, 0.003, 0.5, ["c1.0.weight", "head.weight"]),
        (True, 0.02, 0.5, ["c3.0.weight", "f5.0.weight", "f6.0.weight"]),
        (False, 0.003, 0.0, [*norms, "head.bias"]),
    ]
    assert all(group["fused"] for group in groups)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))

    def loss(self) -> torch.Tensor:
        x = torch.linspace(-1, 1, 30).view(5, 6)
        return F.cross_entropy(self.layers(x), torch.arange(5) % 3)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_equals_a_loop(adaptive: bool) -> None:
    """Both passes drop the same units, and the random numbers after a step are those of one pass."""
    ours, theirs = Net(), Net()
    sam = SAM(
        ours.parameters(),
        partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        rho=0.2,
        adaptive=adaptive,
    )
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)

    def closure() -> torch.Tensor:
        sam.zero_grad()
        loss = ours.loss()
        loss.backward()
        return loss

    for step in range(4):
        torch.manual_seed(step)
        loss = sam.step(closure)
        after = torch.rand(1)
        torch.manual_seed(step)
        expected = theirs.loss()
        assert torch.equal(after, torch.rand(1))
        params = list(theirs.parameters())
        grads = torch.autograd.grad(expected, params)
        scales = [p.detach().abs() if adaptive else torch.ones_like(p) for p in params]
        size = sum(float((g * s).square().sum()) for g, s in zip(grads, scales, strict=True)) ** 0.5
        before = [p.detach().clone() for p in params]
        for p, g, s in zip(params, grads, scales, strict=True):
            p.data += 0.2 * g * s**2 / size
        torch.manual_seed(step)
        sgd.zero_grad()
        theirs.loss().backward()
        for p, old in zip(params, before, strict=True):
            p.data = old
        sgd.step()
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(list(ours.parameters()), params)


def resumed_equals_whole(args: list[str], monkeypatch: pytest.MonkeyPatch, step: int = 25) -> CLI:
    """A run that crashed and one that was left alone, which must be equal bit for bit."""
    args = [*SHORT, *args, "--trainer.callbacks+=tests.test_resume.Stop"]
    whole = main(["fit", *args, "--experiment=whole"])
    monkeypatch.setattr(Stop, "when", ("on_train_batch_start", step))
    monkeypatch.setattr(Stop, "what", crash)
    with pytest.raises(Crash):
        main(["fit", *args, "--experiment=killed"])
    main(["fit", "--run=runs/killed", *QUIET])
    assert differences(find_run(Path("runs/whole")), find_run(Path("runs/killed"))) == []
    assert whole is not None
    return whole


MUON = ["--optimizer=Muon", "--optimizer.weight_decay=0.01", "--model.dropout=0.1"]
SAM_ADAMW = ["--optimizer=SAM", "--optimizer.base_optimizer=AdamW"]
SCHEDULE_FREE = ["--optimizer=schedulefree.AdamWScheduleFree", "--lr_schedule=Constant"]


@pytest.mark.slow
def test_muon_goes_on_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = resumed_equals_whole([*MUON, "--model.layer_decay=0.5"], monkeypatch)
    assert type(cli.trainer.optimizers[0]) is Muon
    assert cli.result["val/acc"] > 0.5


@pytest.mark.slow
def test_sam_goes_on_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = resumed_equals_whole([*SAM_ADAMW, "--optimizer.base_optimizer.lr=0.003"], monkeypatch)
    assert all(group["fused"] for group in cli.trainer.optimizers[0].param_groups)
    assert cli.result["val/acc"] > 0.9


def test_sam_refuses_what_it_cannot_do(fails: Callable[..., str]) -> None:
    args = ["fit", *SHORT, *SAM_ADAMW]
    assert "SAM needs whole batches" in fails(*args, "--trainer.accumulate_grad_batches=2")
    assert "rho is -1.0" in fails("fit", *QUIET, *SAM_ADAMW, "--optimizer.rho=-1")
    assert "Invalid learning rate" in fails(*args, "--optimizer.base_optimizer.lr=-1")


@pytest.mark.slow
def test_schedule_free_goes_on_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoints have the averaged weights; the others are where the gradients are taken."""
    cli = resumed_equals_whole([*SCHEDULE_FREE, "--optimizer.lr=0.02"], monkeypatch)
    saved = torch.load(cli.run.checkpoint("last"), weights_only=True)
    x, y, [state] = saved["state_dict"], saved["current_model_state"], saved["optimizer_states"]
    order = [i for group in state["param_groups"] for i in group["params"]]
    z = {i: state["state"][i]["z"] for i in order}
    names = {p: name for name, p in cli.model.named_parameters()}
    params = [p for group in cli.trainer.optimizers[0].param_groups for p in group["params"]]
    for i, parameter in zip(order, params, strict=True):
        name = names[parameter]
        torch.testing.assert_close(y[name], 0.9 * x[name] + 0.1 * z[i], atol=1e-5, rtol=1e-4)
        assert not torch.equal(x[name], y[name])
    validated = main(["validate", "--run=runs/whole", *QUIET])
    assert validated is not None
    best = torch.load(cli.run.checkpoint("best"), weights_only=True)["callbacks"]["BestCheckpoint"]
    assert validated.result["val/loss"] == pytest.approx(float(best["best_model_score"]), abs=1e-6)


@pytest.mark.parametrize("path", ["schedulefree.AdamWScheduleFree", "timm.optim.Lamb"])
def test_a_missing_extra_is_named(
    path: str, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = path.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    find = PathFinder.find_spec

    def find_others(name: str, *rest: Any) -> Any:
        return None if name.partition(".")[0] == package else find(name, *rest)

    monkeypatch.setattr(PathFinder, "find_spec", find_others)
    said = fails("fit", "--optimizer", path)
    assert f'{package} is not installed: pip install -e ".[{EXTRAS[package]}]"' in said


def test_schedule_free_takes_no_second_average(fails: Callable[..., str]) -> None:
    ema = f"--config={Path(__file__).parent.parent / 'configs/with/ema.yaml'}"
    config = f"--config={Path(__file__).parent.parent / 'configs/digits.yaml'}"
    assert "averages weights itself" in fails("fit", config, ema, *SHORT, *SCHEDULE_FREE)


OTHERS = [
    *(f"pytorch_optimizer.{name}" for name in ("Lion", "AdaBelief", "Adan", "SOAP", "Prodigy")),
    *(f"timm.optim.{name}" for name in ("Lamb", "Lars", "NAdamW", "Adan", "Lion")),
]


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS)
def test_optimiser_of_a_package(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, it has decay groups and layer decay, and goes on bit for bit."""
    pytest.importorskip(path.partition(".")[0])
    rate = 1.0 if path.endswith(("Prodigy", "Lars")) else 0.003
    args = [f"--optimizer={path}", f"--optimizer.lr={rate}", "--optimizer.weight_decay=0.01"]
    cli = resumed_equals_whole([*args, "--model.layer_decay=0.5"], monkeypatch)
    groups = cli.trainer.optimizers[0].param_groups
    assert {group["weight_decay"] for group in groups} == {0.01, 0.0}
    assert {group["initial_lr"] for group in groups} == {rate / 4, rate / 2, rate}
    assert cli.result["val/loss"] < math.log(10)


@pytest.mark.slow
@pytest.mark.needs("tune")
@pytest.mark.parametrize("path", [*OTHERS, "Muon", "schedulefree.SGDScheduleFree"])
def test_finder_finds_a_rate(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *QUIET, "--find=lr", f"--optimizer={path}", "--model.layer_decay=0.5"])
    assert "--optimizer.lr " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.needs("tune")
def test_finder_of_sam_names_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *QUIET, "--find=lr", *SAM_ADAMW])
    assert "--optimizer.base_optimizer.lr " in capsys.readouterr().out
