"""What keeps Lightning's own work out of each step's time."""

import os
from contextlib import nullcontext
from typing import Any

import lightning as L
import torch
from lightning.pytorch.profilers import PassThroughProfiler


class NoProfiler(PassThroughProfiler):
    """No profiling, without a generator made for each of the hundreds of places per step that could be profiled."""

    def profile(self, action_name: str) -> Any:
        return nullcontext()


def skip_empty_hooks(trainer: L.Trainer, model: L.LightningModule) -> None:
    """Spare each training step the calls of hooks that nobody implements, half of what Lightning adds to it.

    Lightning calls each hook of each callback within a profiler's context, but leaves out those
    that are not callable. A hook may sit on the class or, as those of LambdaCallback, on the
    instance.
    """
    hooks = (
        "train_batch_start",
        "before_zero_grad",
        "before_backward",
        "after_backward",
        "before_optimizer_step",
    )
    for base, owners in ((L.Callback, trainer.callbacks), (L.LightningModule, [model])):
        for owner in owners:
            for hook in (*(f"on_{name}" for name in hooks), "on_train_batch_end"):
                if hook not in vars(owner) and getattr(type(owner), hook) is getattr(base, hook):
                    setattr(owner, hook, None)


def spare_driver_calls() -> None:
    """Without a GPU, let PyTorch ask CUDA whether there is one, not the driver's library as Lightning has it.

    Optimisers ask at every step; loading the library in vain takes a tenth of a small model's step.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
