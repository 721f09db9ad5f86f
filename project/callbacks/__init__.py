"""Observers, which look at training and never change it, and what changes weights over time."""

from project.callbacks.best import BestCheckpoint, attach_others
from project.callbacks.checked import check_callbacks, refuse_xla_profiler
from project.callbacks.learned import Learned
from project.callbacks.lookahead import Lookahead
from project.callbacks.pace import NoProfiler, ProgressBar, skip_empty_hooks
from project.callbacks.pictures import Figures
from project.callbacks.predictions import Predictions
from project.callbacks.recording import Ledger, Record, Start
from project.callbacks.resuming import Resume
from project.callbacks.saving import Interrupted, LastCheckpoint

__all__ = [
    "BestCheckpoint",
    "Figures",
    "Interrupted",
    "LastCheckpoint",
    "Learned",
    "Ledger",
    "Lookahead",
    "NoProfiler",
    "Predictions",
    "ProgressBar",
    "Record",
    "Resume",
    "Start",
    "attach_others",
    "check_callbacks",
    "refuse_xla_profiler",
    "skip_empty_hooks",
]
