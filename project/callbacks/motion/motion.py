"""`Motion`: base of callbacks that draw a picture in motion when `fit` ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import lightning as L
from torch import Tensor, nn

from project import plots
from project.callbacks.plots import Plots
from project.errors import UserError
from project.run.folder import run_of

Moment = dict[str, Tensor]


class Motion(Plots):
    """Base of callbacks that look at a training at some of its steps, and draw them when it ends.

    A subclass looks in `look` and draws a moment in `frame`. The steps are the first and the last
    one, and others that are equally far apart; a run that resumes keeps those that it had.

    Args:
        frames: Greatest number of frames.
        seconds: How long the picture moves.
    """

    name: ClassVar[str]  # of the files in the run's figures

    def __init__(self, frames: int = 24, seconds: float = 6.0) -> None:
        if frames < 2 or seconds <= 0:
            raise UserError(f"a motion needs two frames or more, not {frames}, and some seconds")
        self.frames, self.seconds = frames, seconds
        self.every = 1  # steps between two moments
        self.moments: dict[int, Moment] = {}  # by the number of steps before

    def look(self, trainer: L.Trainer, model: Any) -> Moment | None:
        """What is to be drawn of this moment, on the CPU; None for nothing."""
        raise NotImplementedError

    def frame(self, step: int, moment: Moment, trainer: L.Trainer) -> Any:
        """The figure of a moment."""
        raise NotImplementedError

    def check(self, trainer: L.Trainer, model: Any) -> None:
        """Raise UserError if there is nothing to draw of this model and data."""

    def keep(self, trainer: L.Trainer, model: Any) -> None:
        """Keep this moment, and every other one of the earlier ones where there are too many."""
        moment = self.look(trainer, model) if trainer.is_global_zero else None
        if moment is not None:
            self.moments[trainer.global_step] = moment
        while len(self.moments) > 2 * self.frames:
            self.every *= 2
            self.moments = {s: m for s, m in self.moments.items() if s % self.every == 0}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.check(trainer, pl_module)
        if not self.moments:
            self.keep(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if step % self.every == 0 and step not in self.moments:
            self.keep(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step not in self.moments and trainer.is_global_zero:
            moment = self.look(trainer, pl_module)
            if moment is not None:
                self.moments[trainer.global_step] = moment

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.run = run_of(trainer)
        if trainer.is_global_zero and self.run is not None and self.moments:
            path = self.run.figures / f"{self.name}.gif"
            plots.save_film(self.figures(trainer), path, self.seconds)

    def figures(self, trainer: L.Trainer) -> Iterator[Any]:
        """The figures of the moments to show, in order."""
        for step in self.shown_steps():
            yield self.frame(step, self.moments[step], trainer)

    def shown_steps(self) -> list[int]:
        """Steps of the frames: the first and the last one, and others between them."""
        steps = sorted(self.moments)
        count = min(self.frames, len(steps))
        return [steps[round(i * (len(steps) - 1) / max(count - 1, 1))] for i in range(count)]

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every, "moments": self.moments}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.every, self.moments = state_dict["every"], state_dict["moments"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a moment, and each of its parts back into its own mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
