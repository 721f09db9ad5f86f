"""Observers, which look at training and never change it, and what changes weights over time."""

from project.callbacks.best_checkpoint import BestCheckpoint, attach_others
from project.callbacks.compatibility import check_callbacks, refuse_xla_profiler
from project.callbacks.filter_plots import Learned
from project.callbacks.interruption import Interrupted
from project.callbacks.last_checkpoint import LastCheckpoint
from project.callbacks.lookahead import Lookahead
from project.callbacks.plots import Figures
from project.callbacks.prediction_writer import Predictions
from project.callbacks.progress import ProgressBar
from project.callbacks.resume import Resume
from project.callbacks.run_recorder import RunRecorder, Start, TestLog

__all__ = [
    "BestCheckpoint",
    "Figures",
    "Interrupted",
    "LastCheckpoint",
    "Learned",
    "Lookahead",
    "Predictions",
    "ProgressBar",
    "Resume",
    "RunRecorder",
    "Start",
    "TestLog",
    "attach_others",
    "check_callbacks",
    "refuse_xla_profiler",
]
