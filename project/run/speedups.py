"""Patches that save Lightning's own work in each training step; no other file patches Lightning.

They count for models whose step takes about a millisecond: ``python -m tests.benchmarks.speedups``
measures the gain of each. A patch is a function that applies itself and returns its undoing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint

Undo = Callable[[], None]
Patch = Callable[[L.Trainer, L.LightningModule], Undo]
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def applied(trainer: L.Trainer, enabled: bool = True) -> Iterator[None]:
    """Apply all patches while ``trainer`` trains, or none of them unless ``enabled``.

    They are applied when training starts, because only then the trainer has the callbacks that the
    model brings.
    """
    with ExitStack() as stack:

        def apply(trainer: L.Trainer, module: L.LightningModule) -> None:
            for patch in PATCHES:
                stack.callback(patch(trainer, module))

        start = LambdaCallback(on_train_start=apply)
        if enabled:
            trainer.callbacks.insert(0, start)
            stack.callback(lambda: trainer.callbacks.remove(start))
        yield


def hide_empty_hooks(trainer: L.Trainer, model: L.LightningModule) -> Undo:
    """Set hooks that do nothing to None, so that Lightning does not call them at each step.

    It gains 14 % of a step of the smallest MLP on two CPU cores.

    Hooks that a user has written, on a class or as those of LambdaCallback on an instance, stay.
    """
    names = [f"on_train_batch_{when}" for when in ("start", "end")]
    names += [f"on_{when}_backward" for when in ("before", "after")]
    names += [f"on_before_{what}" for what in ("zero_grad", "optimizer_step")]
    owners: list[Any] = [*trainer.callbacks, model]
    hidden = [(owner, name) for owner in owners for name in names if is_empty(owner, name)]
    for owner, name in hidden:
        setattr(owner, name, None)

    def undo() -> None:
        for owner, name in hidden:
            if vars(owner).get(name, owner) is None:  # unless a hook was set meanwhile
                delattr(owner, name)

    return undo


def is_empty(owner: L.Callback | L.LightningModule, name: str) -> bool:
    """Whether nobody wrote a hook, or it is of a ModelCheckpoint that saves after epochs only."""
    if name in vars(owner):
        return False
    hook = getattr(type(owner), name)
    if isinstance(owner, ModelCheckpoint) and hook is ModelCheckpoint.on_train_batch_end:
        return owner._every_n_train_steps < 1 and owner._train_time_interval is None
    base = L.Callback if isinstance(owner, L.Callback) else L.LightningModule
    return hook is getattr(base, name)


def spare_driver_calls(trainer: L.Trainer, model: L.LightningModule) -> Undo:
    """Without a GPU, let PyTorch ask CUDA for one, which optimisers do at each step.

    It gains 12 to 21 % of a step of the smallest MLP on two CPU cores.

    Lightning makes PyTorch load the driver's library for that, each time in vain.
    """
    value = os.environ.get(NVML_CHECK, "")
    if not torch.cuda.is_available():
        os.environ[NVML_CHECK] = "0"
    return lambda: os.environ.update({NVML_CHECK: value})


PATCHES: list[Patch] = [
    hide_empty_hooks,
    spare_driver_calls,
]
