"""Which callbacks of Lightning cannot be used here, and what to use in their place."""

import inspect
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import takewhile
from typing import Any

import lightning as L
from lightning.pytorch import callbacks as lightning_callbacks

from project.callbacks.best_checkpoint import BestCheckpoint
from project.callbacks.grad_cam_plots import GradCAMPlots
from project.callbacks.lookahead import Lookahead
from project.callbacks.motion.motion import Motion
from project.errors import UserError
from project.models.architecture import Architecture
from project.run.distributed import has_whole_model

REFUSED: dict[type[L.Callback], str] = {
    lightning_callbacks.GradientAccumulationScheduler: (
        "would change the global batch size: use --trainer.accumulate_grad_batches instead"
    ),
    lightning_callbacks.LearningRateFinder: "would train on from its last try: use fit --find lr",
    lightning_callbacks.BatchSizeFinder: "would change the global batch: use fit --find batch_size",
    lightning_callbacks.OnExceptionCheckpoint: (
        "saves a file that later runs would begin from: leave it out, last.ckpt is enough"
    ),
    lightning_callbacks.SpikeDetection: "cannot load its own checkpoints: leave it out",
    lightning_callbacks.ModelPruning: "renames weights, so that no checkpoint loads: leave it out",
}
BASES = (
    L.Callback,
    lightning_callbacks.BaseFinetuning,
    lightning_callbacks.BasePredictionWriter,
    lightning_callbacks.Checkpoint,
    lightning_callbacks.ProgressBar,
)


def check_callbacks(callbacks: Sequence[L.Callback], model: L.LightningModule) -> None:
    """Refuse callbacks that would do something else than their user expects.

    Raises:
        UserError: One is such a callback, or monitors a metric that nothing logs.
    """
    for callback in callbacks:
        name = (
            "--model_checkpoint"
            if isinstance(callback, BestCheckpoint)
            else type(callback).__name__
        )
        if type(callback) in BASES:
            raise UserError(
                f"{name} is a base class, which does nothing by itself: give a subclass of it"
            )
        for kind, reason in REFUSED.items():
            if isinstance(callback, kind):
                raise UserError(f"{name} {reason}")
        monitor, known = getattr(callback, "monitor", None), getattr(model, "metric_names", None)
        if known is None:  # a module may log what it likes
            continue
        if isinstance(callback, lightning_callbacks.ModelCheckpoint):
            known = [*known, "epoch", "step"]  # which Lightning adds
        if monitor and monitor not in known and not logs_more(model, callbacks):
            raise UserError(
                f"{name} monitors {monitor}, which is not logged: monitor one of {', '.join(known)}"
            )


def check_whole_model(trainer: L.Trainer) -> None:
    """Raise UserError if a callback copies or explains the model where each process has a part."""
    needing = (
        lightning_callbacks.WeightAveraging,
        lightning_callbacks.StochasticWeightAveraging,
        GradCAMPlots,
        Lookahead,
        Motion,
    )
    for callback in trainer.callbacks if not has_whole_model(trainer) else []:
        if isinstance(callback, needing):
            name = type(callback).__name__
            raise UserError(f"{name} needs the whole model: use --trainer.strategy ddp")


def logs_more(model: L.LightningModule, callbacks: Sequence[L.Callback]) -> bool:
    """Whether a network or callback of the user's own may log metrics of any name."""
    if not all(
        type(part).__module__.startswith(("lightning.", "project.")) for part in (model, *callbacks)
    ):
        return True
    own = takewhile(
        lambda kind: kind is not Architecture, type(model).__mro__
    )  # it may be a file in project/models
    functions = [
        inspect.unwrap(f) for kind in own for f in vars(kind).values() if inspect.isfunction(f)
    ]
    return any({"log", "log_dict"} & set(function.__code__.co_names) for function in functions)


def refuse_xla_profiler(profiler: Any) -> None:
    """Raise UserError for XLA's profiler without XLA, of which Lightning would show a traceback.

    Args:
        profiler: As in a config, a name or a class with its arguments.
    """
    name = profiler if isinstance(profiler, str) else getattr(profiler, "class_path", "")
    if name.rpartition(".")[2].lower().startswith("xla") and not find_spec("torch_xla"):
        raise UserError(
            "--trainer.profiler xla needs torch_xla, which is not installed: give simple or pytorch"
        )
