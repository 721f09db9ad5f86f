"""Optimisers and their parameter groups, and learning-rate schedules."""

from project.optim.parameter_groups import (
    Uncopied,
    decayed,
    exempt_from_decay,
    l1_norm,
    make_optimizer,
    use_fused_kernels,
    weight_decay_groups,
)
from project.optim.progress_lr import ProgressLR
from project.optim.schedules import (
    Constant,
    Linear,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    WarmupCosine,
)

__all__ = [
    "Constant",
    "Linear",
    "OneCycle",
    "Polynomial",
    "ProgressLR",
    "Schedule",
    "Step",
    "Uncopied",
    "WarmupCosine",
    "decayed",
    "exempt_from_decay",
    "l1_norm",
    "make_optimizer",
    "use_fused_kernels",
    "weight_decay_groups",
]
