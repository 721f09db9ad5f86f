"""How a DataLoader's worker processes begin and end."""

import multiprocessing
import signal


def ignore_signals(worker: int) -> None:
    """A terminal's Ctrl-C and a cluster's signals reach every process; the main one saves, for which workers live."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)


def end_workers() -> None:
    """End the workers of loaders that were left in the middle: Python would wait for them at its exit."""
    before = signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # PyTorch's handler takes their end for a failure
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    signal.signal(signal.SIGCHLD, before)
