"""Signals that end a training after its state is saved."""

import signal
from typing import Any

from project.run.folder import Run


class Interrupted(Exception):
    """A signal ended a run after its state was saved.

    Args:
        run: The run, which ``fit --run`` resumes.
        signum: The signal; the exit status is 128 more.
    """

    def __init__(self, run: Run, signum: int) -> None:
        super().__init__(run, signum)
        self.run, self.signum = run, signum


class SignalNotes:
    """Notes the last SIGINT, SIGTERM or SIGUSR1 in place of ending the process."""

    def __init__(self) -> None:
        self.signum = 0  # the last signal, 0 for none
        self.replaced: dict[signal.Signals, Any] = {}

    def start(self) -> None:
        """Handle the signals; call it after Lightning has set its own handlers."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self.replaced[signum] = signal.signal(signum, self.note)

    def stop(self) -> None:
        """Put the former handlers back."""
        for signum, handler in self.replaced.items():
            signal.signal(signum, handler)
        self.replaced = {}

    def note(self, signum: int, *_: Any) -> None:
        """Note a signal; a second Ctrl-C stops at once."""
        self.signum = signum
        if signum == signal.SIGINT:
            signal.signal(signum, signal.default_int_handler)
