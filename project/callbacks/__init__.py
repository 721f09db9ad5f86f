"""Observers, which look at training and never change it, and what changes weights over time."""

from project.callbacks.learned import Learned
from project.callbacks.lookahead import Lookahead
from project.callbacks.pace import NoProfiler, ProgressBar, skip_empty_hooks
from project.callbacks.pictures import Figures
from project.callbacks.predictions import Predictions
from project.callbacks.recording import Ledger, Record, Start
from project.callbacks.saving import Interrupted, LastCheckpoint

__all__ = [
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
    "Start",
    "skip_empty_hooks",
]
