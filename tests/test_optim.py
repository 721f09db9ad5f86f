"""Schedules against PyTorch's own, and their shapes."""

import pytest
import torch

from project.optim import (
    Constant,
    Linear,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    WarmupCosine,
    use_fused_kernels,
)

STEPS = 200


def torch_factors(make: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    factors = []
    for _ in range(STEPS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


lr = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Constant(), lambda o: lr.ConstantLR(o, factor=1.0)),
        (WarmupCosine(warmup=0), lambda o: lr.CosineAnnealingLR(o, STEPS)),
        (WarmupCosine(warmup=0, final=0.1), lambda o: lr.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
        (Linear(final=0.2), lambda o: lr.LinearLR(o, 1.0, 0.2, STEPS)),
        (Polynomial(power=0.5), lambda o: lr.PolynomialLR(o, STEPS, power=0.5)),
        (
            Step(milestones=(0.25, 0.5), gamma=0.3),
            lambda o: lr.MultiStepLR(o, [STEPS // 4, STEPS // 2], 0.3),
        ),
    ],
)
def test_equals_torchs_scheduler(schedule: Schedule, make: object) -> None:
    assert [schedule(t / STEPS) for t in range(STEPS)] == pytest.approx(
        torch_factors(make), abs=1e-6
    )


def test_one_cycle_equals_torchs() -> None:
    """PyTorch's OneCycleLR reaches its last value one step early, so that its progress is t / (STEPS - 1)."""
    expected = torch_factors(
        lambda o: lr.OneCycleLR(o, 1.0, total_steps=STEPS + 1, pct_start=0.3, cycle_momentum=False)
    )
    schedule = OneCycle(warmup=(0.3 * (STEPS + 1) - 1) / STEPS)
    assert [schedule(t / STEPS) for t in range(STEPS)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", [Linear, WarmupCosine, OneCycle])
def test_warm_up_peaks_where_it_says(kind: type) -> None:
    schedule = kind(warmup=0.25)
    values = [schedule(t / 100) for t in range(101)]
    assert max(values) == values[25] == 1
    assert values[:26] == sorted(values[:26])
    assert values[25:] == sorted(values[25:], reverse=True)
    assert values[100] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("bad", [-0.1, 1.0, 2.0])
def test_a_warm_up_is_a_fraction(bad: float) -> None:
    with pytest.raises(ValueError, match="fraction of the run"):
        WarmupCosine(warmup=bad)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (torch.optim.AdamW, {"lr": 0.01}),
        (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    ],
)
def test_fused_kernels_equal_the_plain_ones(
    kind: type[torch.optim.Optimizer], options: dict
) -> None:
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        layer = torch.nn.Linear(7, 5)
        optimizer = kind(layer.parameters(), **options)
        if fused:
            use_fused_kernels(optimizer)
            assert optimizer.param_groups[0]["fused"]
        for _ in range(20):
            optimizer.zero_grad()
            layer(torch.randn(16, 7)).square().mean().backward()
            optimizer.step()
        results.append(layer.weight.detach().clone())
    assert torch.allclose(*results, atol=1e-6)


def test_fused_kernels_can_be_refused() -> None:
    optimizer = torch.optim.AdamW([torch.zeros(3, requires_grad=True)], fused=False)
    use_fused_kernels(optimizer)
    assert optimizer.param_groups[0]["fused"] is False
    plain = torch.optim.RMSprop([torch.zeros(3, requires_grad=True)])
    use_fused_kernels(plain)
    assert "fused" not in plain.param_groups[0]
