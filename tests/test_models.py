"""The networks and what is common to their training, against published counts and slow, plain code."""

import pytest
import torch
import torch.nn.functional as F

from project import models
from project.models import MLP
from project.models.objectives.classification import Classification, mse
from project.optim import l1_norm
from tests.conftest import existing

SHAPE = {"num_classes": 10, "input_shape": (1, 28, 28)}


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        # LeCun et al., 1998, with full connections and a linear output layer
        pytest.param("LeNet", {}, 61_706, marks=pytest.mark.needs("LeNet")),
        (
            "MLP",
            {"hidden": (64, 128, 64)},
            784 * 64 + 64 + 64 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
        ),
        ("MLP", {"hidden": ()}, 7_850),
    ],
)
def test_parameter_counts(name: str, options: dict, count: int) -> None:
    model = getattr(models, name)(**options, **SHAPE)
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 12, 17)])
@pytest.mark.parametrize("name", existing(["MLP", "LeNet"]))
@pytest.mark.parametrize(
    "options", [{}, {"batch_norm": True, "dropout": 0.5, "activation": "sigmoid"}]
)
def test_logits_and_gradients(name: str, shape: tuple[int, int, int], options: dict) -> None:
    kind = getattr(models, name)
    torch.manual_seed(0)
    model = kind(num_classes=7, input_shape=shape, **options)
    x, y = torch.randn(16, *shape), torch.randint(7, (16,))
    loss, logits = model.loss(x, y)
    loss = loss + model.regularization_loss()
    assert logits.shape == (16, 7)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_batch_norm_needs_no_bias_below_it() -> None:
    model = MLP(hidden=(5,), batch_norm=True, **SHAPE)
    assert [name for name, _ in model.named_parameters()] == [
        "layers.0.weight", "layers.1.weight", "layers.1.bias", "head.weight", "head.bias",
    ]  # fmt: skip


@pytest.mark.needs("LeNet")
def test_lenet_pads_mnist_to_the_papers_size() -> None:
    """The feature maps of section II.B: C1 28x28, S2 14x14, C3 10x10, S4 5x5."""
    model = models.LeNet(**SHAPE)
    s2 = model.c1(torch.zeros(1, 1, 28, 28))
    assert s2.shape == (1, 6, 14, 14)
    assert model.c3(s2).shape == (1, 16, 5, 5)


def test_mse_equals_its_definition() -> None:
    logits, y = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    total = 0.0
    for i in range(4):
        p = logits[i].exp() / logits[i].exp().sum()
        total += sum(float(p[k] - (0.9 * (k == y[i]) + 0.1 / 3)) ** 2 for k in range(3))
    assert float(mse(logits, y, label_smoothing=0.1)) == pytest.approx(total / 12, rel=1e-5)
    assert torch.allclose(mse(logits, y), mse(logits, F.one_hot(y, 3).float()))


def test_training_loss_has_label_smoothing_and_l1() -> None:
    objective = Classification(label_smoothing=0.2)
    model = MLP(hidden=(6,), batch_norm=True, objective=objective, l1=0.01, **SHAPE).eval()
    x, y = torch.randn(8, 1, 28, 28), torch.randint(10, (8,))
    loss, logits = model.loss(x, y)
    loss = loss + model.regularization_loss()
    weights = sum(
        float(w.detach().abs().sum()) for w in (model.layers[0].weight, model.head.weight)
    )
    smooth = 0.8 * F.one_hot(y, 10) + 0.02
    expected = -(smooth * logits.log_softmax(1)).sum(1).mean() + 0.01 * weights
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(l1_norm(model.parameters()).detach()) == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["LBFGS", "SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "NAdam", "Rprop"]
)
def test_any_optimizer_is_configured(name: str) -> None:
    model = MLP(optimizer=getattr(torch.optim, name), **SHAPE)
    optimizer = model.configure_optimizers()["optimizer"]
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == sum(
        p.numel() for p in model.parameters()
    )


@pytest.mark.needs("LeNet")
def test_weight_decay_skips_biases_and_norms() -> None:
    model = models.LeNet(
        batch_norm=True, optimizer=lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.5), **SHAPE
    )
    decayed, others = model.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in decayed["params"]} == {
        "c1.0.weight", "c3.0.weight", "f5.0.weight", "f6.0.weight", "head.weight",
    }  # fmt: skip
    assert len(others["params"]) == len(names) - 5


@pytest.mark.needs("LeNet")
def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="12x12 pixels or more"):
        models.LeNet(num_classes=10, input_shape=(1, 8, 8))
