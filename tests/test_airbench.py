"""The fast CIFAR-10 recipe: its network, its weights over time, its flip."""

from collections.abc import Callable
from typing import Any, ClassVar

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from project.cli.main import CLI
from project.data.transforms.augment import AlternatingFlip, Crop
from project.errors import UserError
from project.models.airbench import Airbench, whitening
from tests.test_resume import Crash, Stop, crash

pytestmark = pytest.mark.needs("Airbench")
SHAPE = {"num_classes": 10, "input_shape": (3, 32, 32)}


def test_parameter_count() -> None:
    """What the paper's section 3.1 adds up to; that of its code is 1.97 million."""
    convolutions = 24 * 12 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256)
    norms = 2 * 2 * (64 + 256 + 256)
    assert (
        sum(p.numel() for p in Airbench(**SHAPE).parameters()) == convolutions + 24 + norms + 2560
    )


@pytest.mark.parametrize(("patch", "stride", "eps"), [(2, 1, 0.0), (4, 4, 0.0), (4, 4, 0.1)])
def test_first_layer_whitens(photographs: np.ndarray, patch: int, stride: int, eps: float) -> None:
    """The variance v along each eigenvector of the patches' covariance becomes v / (v + eps)."""
    x, count = torch.from_numpy(photographs).float() / 64 - 2, 3 * patch**2
    patches = F.unfold(x.double(), patch, stride=stride).transpose(1, 2).flatten(0, 1).numpy()
    variances = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    kernels = whitening(x, patch, stride, eps)
    y = F.conv2d(x.double(), kernels.double(), stride=stride)[:, :count]
    y = y.permute(1, 0, 2, 3).reshape(count, -1)
    expected = np.diag(variances / (variances + eps))
    np.testing.assert_allclose(y @ y.T / y.shape[1], expected, atol=1e-3)
    assert torch.equal(kernels[:count], -kernels[count:])


def test_whiten_eps_is_positive() -> None:
    """A direction in which no patch varies would be divided by zero."""
    for eps in (0.0, -0.1):
        with pytest.raises(UserError, match=f"whiten_eps {eps} must be positive"):
            Airbench(whiten_eps=eps, **SHAPE)


def test_residual_block() -> None:
    """As the paper's airbench96: the last two of three convolutions have a shortcut around them."""
    model = Airbench(
        widths=(8, 16), patch=4, stride=4, residual=True, num_classes=10, input_shape=(3, 48, 48)
    )
    assert model.whiten.weight.shape == (96, 3, 4, 4)
    for parameter in (block := model.blocks[0]).parameters():
        parameter.data += torch.randn_like(parameter) / 10
    x = torch.randn(5, 96, 8, 8)

    def normed(x: torch.Tensor, i: int) -> torch.Tensor:
        part = getattr(block, f"bn{i}")
        deviations = x.var((0, 2, 3), correction=0, keepdim=True).sqrt()
        x = (x - x.mean((0, 2, 3), keepdim=True)) / deviations
        return x * part.weight.view(-1, 1, 1) + part.bias.view(-1, 1, 1)

    def convolved(x: torch.Tensor, i: int) -> torch.Tensor:
        return F.conv2d(x, getattr(block, f"conv{i}").weight, padding=1)

    first = F.gelu(normed(F.max_pool2d(convolved(x, 1), 2), 1))
    last = normed(convolved(F.gelu(normed(convolved(first, 2), 2)), 3), 3)
    assert torch.allclose(block(x), F.gelu(first + last), atol=1e-5)


def test_convolutions_begin_as_the_identity() -> None:
    block = Airbench(**SHAPE).blocks[0]
    x = torch.randn(2, 24, 9, 9)
    assert torch.allclose(block.conv1(x)[:, :24], x, atol=1e-6)


def test_views_are_averaged() -> None:
    model = Airbench(flip_tta=True, translate_tta=True, **SHAPE).eval()
    x = torch.randn(3, 3, 32, 32)
    padded = F.pad(x, [1, 1, 1, 1], mode="reflect")
    views = [(x, 0.5), (padded[..., :-2, :-2], 0.25), (padded[..., 2:, 2:], 0.25)]
    expected = sum(weight * (model(view) + model(view.flip(3))) / 2 for view, weight in views)
    assert torch.allclose(model.eval_outputs(x), expected, atol=1e-6)


def test_biases_have_their_own_rate() -> None:
    model = Airbench(optimizer=lambda p: torch.optim.SGD(p, lr=0.5, weight_decay=0.01), **SHAPE)
    weights, biases = model.configure_optimizers()["optimizer"].param_groups
    assert (weights["lr"], weights["weight_decay"]) == (0.5, 0.01)
    assert (biases["lr"], biases["weight_decay"]) == (32.0, 0.01 / 64)
    assert any(p is model.whiten.bias for p in weights["params"])  # it belongs to no norm
    assert {id(p) for p in biases["params"]} == {
        id(layer.bias) for layer in model.modules() if hasattr(layer, "eps")
    }
    assert not model.whiten.bias.any()
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {
        "whiten.weight",
        *(f"blocks.{i}.bn{j}.weight" for i in range(3) for j in (1, 2)),
    }


def test_first_bias_trains_for_a_while_alone() -> None:
    for epochs in (0, 1):
        model = Airbench(whiten_epochs=epochs, **SHAPE)  # without a Trainer the epoch is 0
        model.loss(torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64))[0].backward()
        model.on_after_backward()
        assert (model.whiten.bias.grad is None) == (epochs == 0)


def test_each_image_is_mirrored_every_other_epoch(photographs: np.ndarray) -> None:
    x, transform, generator = (
        torch.from_numpy(photographs).float(),
        AlternatingFlip(),
        torch.Generator(),
    )
    mirrored = []
    for transform.epoch in range(4):
        out, _ = transform(x, torch.zeros(len(x)), generator)
        same = (out == x).flatten(1).all(1)
        assert torch.equal(out[~same], x[~same].flip(3))
        mirrored.append(~same)
    assert torch.equal(mirrored[0], ~mirrored[1])
    assert torch.equal(mirrored[0], mirrored[2])
    assert torch.equal(mirrored[1], mirrored[3])
    assert 30 < int(mirrored[0].sum()) < 90  # of 120


def test_crop_reflects() -> None:
    x = torch.arange(25.0).view(1, 1, 5, 5)
    padded = np.pad(x[0, 0].numpy(), 2, mode="reflect")
    out, _ = Crop(2, "reflect")(x, torch.zeros(1), torch.Generator().manual_seed(1))
    windows = [padded[i : i + 5, j : j + 5] for i in range(5) for j in range(5)]
    assert any(np.array_equal(out[0, 0].numpy(), window) for window in windows)


@pytest.mark.needs("cifar")
def test_optimiser_without_groups_is_refused(cifar_root: object, fails: Callable[..., str]) -> None:
    args = [
        "--model=Airbench",
        "--data=CIFAR10",
        f"--data.root={cifar_root}",
        "--data.batch_size=16",
    ]
    assert "LBFGS has one rate for all" in fails(
        "fit", *args, "--optimizer=LBFGS", "--trainer.max_epochs=1"
    )


def flags(cifar_root: object) -> list[str]:
    return [
        "--model=Airbench", "--model.widths=[8,8,8]", "--data=CIFAR10", f"--data.root={cifar_root}",
        "--data.batch_size=16", "--data.augment+=AlternatingFlip", "--optimizer=SGD", "--optimizer.lr=0.05",
        "--optimizer.momentum=0.85", "--optimizer.nesterov=true", "--trainer.max_epochs=3",
        "--trainer.callbacks+=project.callbacks.Lookahead", "--model.whiten_epochs=1", "--model.whiten_eps=0.01",
        "--seed_everything=3",
    ]  # fmt: skip


class First(L.Callback):
    """Notes what the first batch's patches whiten by."""

    kernels: ClassVar[torch.Tensor]

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 0:
            First.kernels = whitening(batch[0], eps=0.01)


def state(cli: CLI) -> dict[str, torch.Tensor]:
    return dict(torch.load(cli.run.checkpoint("last"), weights_only=True)["state_dict"])


@pytest.mark.needs("cifar")
@pytest.mark.slow
def test_recipe_trains_and_goes_on_exactly(fit: Callable[..., CLI], cifar_root: object) -> None:
    """From within the first epoch of five steps, whose first batch whitens."""
    stop = "--trainer.callbacks+=tests.test_resume.Stop"
    args = [*flags(cifar_root), "--last_checkpoint.every_n_steps=3", stop]
    whole = fit(*args, "--trainer.callbacks+=tests.test_airbench.First")
    assert whole.trainer.global_step == 15
    assert torch.equal(state(whole)["whiten.weight"], First.kernels)
    Stop.when, Stop.what = ("on_train_batch_start", 4), crash
    with pytest.raises(Crash):
        fit(*args, "--experiment=again")
    goes_on = fit("--run", "runs/again")
    a, b = state(whole), state(goes_on)
    assert goes_on.trainer.global_step == 15
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("every", [3, 5])  # the last step is a meeting, or is not
def test_lookahead_equals_its_definition(every: int) -> None:
    from project.callbacks import Lookahead

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(2))

    class Trainer:
        global_step, estimated_stepping_batches = 0, 10

    net, trainer, callback = Net(), Trainer(), Lookahead(every=every, decay=0.5)
    fast, slow = torch.zeros(2), torch.ones(2)  # those after the first step
    for step in range(1, 11):
        with torch.no_grad():
            net.w += step
        fast = fast + step
        trainer.global_step = step
        callback.on_train_batch_end(trainer, net)  # type: ignore[arg-type]
        if step % every == 0:
            stays = 0.5 * (step / 10) ** 3
            slow = stays * slow + (1 - stays) * fast
            fast = slow
        if step == 10:
            fast = slow
        assert torch.allclose(net.w, fast)
    with pytest.raises(ValueError, match="Lookahead"):
        Lookahead(every=0)
