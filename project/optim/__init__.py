"""Optimisers and their parameter groups, and learning-rate schedules."""

from project.optim.construction import Uncopied, make_optimizer, option_names, use_fused_kernels
from project.optim.layer_order import hidden_weights, layer_decay_groups, layer_order
from project.optim.muon import Muon
from project.optim.param_patterns import ParamPattern, description, matched, pattern_groups
from project.optim.parameter_groups import (
    decayed,
    exempt_from_decay,
    l1_norm,
    weight_decay_groups,
)
from project.optim.progress_lr import ProgressLR
from project.optim.sam import SAM
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
    "SAM",
    "Constant",
    "Linear",
    "Muon",
    "OneCycle",
    "ParamPattern",
    "Polynomial",
    "ProgressLR",
    "Schedule",
    "Step",
    "Uncopied",
    "WarmupCosine",
    "decayed",
    "description",
    "exempt_from_decay",
    "hidden_weights",
    "l1_norm",
    "layer_decay_groups",
    "layer_order",
    "make_optimizer",
    "matched",
    "option_names",
    "pattern_groups",
    "use_fused_kernels",
    "weight_decay_groups",
]
