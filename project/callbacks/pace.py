"""What keeps Lightning's own work out of each step's time."""

import time
from contextlib import nullcontext
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.profilers import PassThroughProfiler


class ProgressBar(RichProgressBar):
    """Lightning's bar with rich, drawn five times a second at most: to draw it can take longer than a small step."""

    next_time = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        now = time.monotonic()
        if now > self.next_time or args[-1] + 1 == trainer.num_training_batches:
            self.next_time = now + 0.2
            super().on_train_batch_end(trainer, *args)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)  # the summary gives the run in full
        return {**pl_module.latest, **metrics}


class NoProfiler(PassThroughProfiler):
    """No profiling, without a generator made for each of the hundreds of places per step that could be profiled."""

    def profile(self, action_name: str) -> Any:
        return nullcontext()


def skip_empty_hooks(trainer: L.Trainer, model: L.LightningModule) -> None:
    """Spare each training step the calls of hooks that nobody implements, half of what Lightning adds to it.

    Lightning calls each hook of each callback within a profiler's context, but leaves out those that are not callable.
    A hook may sit on the class or, as those of LambdaCallback, on the instance.
    """
    hooks = ("train_batch_start", "before_zero_grad", "before_backward", "after_backward", "before_optimizer_step")
    for base, owners in ((L.Callback, trainer.callbacks), (L.LightningModule, [model])):
        for owner in owners:
            for hook in (*(f"on_{name}" for name in hooks), "on_train_batch_end"):
                if hook not in vars(owner) and getattr(type(owner), hook) is getattr(base, hook):
                    setattr(owner, hook, None)
