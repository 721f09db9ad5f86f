"""How a DataLoader's worker processes begin and end."""

import multiprocessing
import signal


def ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and a cluster's signals to the main process, which needs the workers to save."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)


def end_workers() -> None:
    """End the workers of unfinished loaders, for which Python would wait at its exit."""
    # PyTorch's handler takes their end for a failure.
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    signal.signal(signal.SIGCHLD, before)
