"""Callbacks: they save a run and record it, draw figures, or change weights over time."""

from project.callbacks.best_checkpoint import BestCheckpoint, attach_others
from project.callbacks.compatibility import (
    check_callbacks,
    check_whole_model,
    refuse_xla_profiler,
)
from project.callbacks.ema import EMA
from project.callbacks.evaluation_plots import EvaluationPlots
from project.callbacks.filter_plots import FilterPlots
from project.callbacks.grad_cam_plots import GradCAMPlots
from project.callbacks.gradual_unfreezing import GradualUnfreezing
from project.callbacks.interruption import Interrupted
from project.callbacks.last_checkpoint import LastCheckpoint
from project.callbacks.lookahead import Lookahead
from project.callbacks.motion import (
    Backprop,
    Batches,
    Boundary,
    Convolution,
    Descent,
    Neuron,
)
from project.callbacks.multi_label_plots import MultiLabelPlots
from project.callbacks.optimizer_modes import OptimizerModes
from project.callbacks.prediction_writer import PredictionWriter
from project.callbacks.progress import ProgressBar
from project.callbacks.regression_plots import RegressionPlots
from project.callbacks.resume import Resume
from project.callbacks.run_recorder import RunRecorder, Start, TestLog
from project.callbacks.step_seeds import StepSeeds

__all__ = [
    "EMA",
    "Backprop",
    "Batches",
    "BestCheckpoint",
    "Boundary",
    "Convolution",
    "Descent",
    "EvaluationPlots",
    "FilterPlots",
    "GradCAMPlots",
    "GradualUnfreezing",
    "Interrupted",
    "LastCheckpoint",
    "Lookahead",
    "MultiLabelPlots",
    "Neuron",
    "OptimizerModes",
    "PredictionWriter",
    "ProgressBar",
    "RegressionPlots",
    "Resume",
    "RunRecorder",
    "Start",
    "StepSeeds",
    "TestLog",
    "attach_others",
    "check_callbacks",
    "check_whole_model",
    "refuse_xla_profiler",
]
