"""Observers: they look at training and never change it."""

import signal
import time
from contextlib import nullcontext
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import Checkpoint, RichProgressBar
from lightning.pytorch.profilers import PassThroughProfiler
from torch import Tensor

from project import figures
from project.loggers import MetricsCSV, WandB
from project.run import Run, record_environment, write_atomically


class Interrupted(Exception):
    """The user pressed Ctrl-C, and the run in the folder that it names was saved."""


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
    """
    hooks = ("train_batch_start", "before_zero_grad", "before_backward", "after_backward", "before_optimizer_step")
    for base, owners in ((L.Callback, trainer.callbacks), (L.LightningModule, [model])):
        for owner in owners:
            for hook in (*(f"on_{name}" for name in hooks), "on_train_batch_end"):
                if getattr(type(owner), hook) is getattr(base, hook):
                    setattr(owner, hook, None)


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, and on Ctrl-C after the batch at hand; a second Ctrl-C stops at once."""

    def __init__(self, run: Run) -> None:
        self.run, self.path, self.interrupted = run, run.checkpoint("last"), False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.previous = signal.signal(signal.SIGINT, self.interrupt)

    def interrupt(self, *_: Any) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.interrupted:
            trainer.save_checkpoint(self.path, weights_only=False)
            raise Interrupted(self.run.folder)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.interrupted and trainer.state.fn == "fit":
            trainer.save_checkpoint(self.path, weights_only=False)
            raise Interrupted(self.run.folder)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit" and hasattr(self, "previous"):
            signal.signal(signal.SIGINT, self.previous)


class Record(L.Callback):
    """Writes down what a run is: its config and environment, in its folder and in W&B.

    Args:
        run: Where to.
        config: The full merged config.
    """

    def __init__(self, run: Run, config: dict[str, Any]) -> None:
        self.run, self.config = run, config

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        write_atomically(self.run.config, yaml.safe_dump(self.config, sort_keys=False))
        environment = record_environment(self.run, self.config["seed_everything"])
        parameters = sum(p.numel() for p in pl_module.parameters())
        for logger in trainer.loggers:
            if isinstance(logger, WandB):
                logger.log_hyperparams({**self.config, "parameters": parameters, "git": environment["git"]})

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        pl_module.drop_foreign_optimizer_state(checkpoint)
        for state in checkpoint["callbacks"].values():
            if old := state.get("dirpath"):  # where the folder was moved or copied, the run still knows its best
                new = str(self.run.checkpoints)
                state |= {key: value.replace(old, new) for key, value in state.items() if isinstance(value, str)}
                state["best_k_models"] = {k.replace(old, new): v for k, v in state["best_k_models"].items()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.rewind(trainer.global_step)  # a run that goes on from a checkpoint logs the rest again

    def on_save_checkpoint(self, trainer: L.Trainer, *_: Any) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.save()


class Figures(L.Callback):
    """Pictures in ``figures/`` and W&B: the history after fit; what a split looks like after `validate` or `test`.

    Args:
        run: Where they go.
        examples: Images in the grid of predictions, and in that of mistakes.
    """

    def __init__(self, run: Run, examples: int = 12) -> None:
        self.run, self.examples = run, examples

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                self.save(trainer, figures.history(logger.rows, f"{self.run.experiment}/{self.run.id}"), "history")

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start(trainer, pl_module)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start(trainer, pl_module)

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        k = pl_module.num_classes
        self.counts = torch.zeros(k * k, dtype=torch.int64, device=pl_module.device)
        self.seen = 0
        self.chosen: list[tuple[Tensor, ...]] = []
        self.mistakes: tuple[Tensor, ...] | None = None

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        if trainer.state.fn == "validate":
            self.look(trainer, outputs, *batch)

    def on_test_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.look(trainer, outputs, *batch)

    def look(self, trainer: L.Trainer, logits: Tensor, x: Tensor, y: Tensor) -> None:
        """Add one batch to what the pictures show."""
        probabilities = logits.float().softmax(1)
        confidence, predicted = probabilities.max(1)
        k = probabilities.shape[1]
        self.counts += torch.bincount(y * k + predicted, minlength=k * k)
        loader = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        batches = loader.batch_sampler.batches
        wanted = figures.evenly_spaced(self.examples, sum(map(len, batches))) - self.seen
        self.seen += len(y)
        wanted = wanted[(wanted >= 0) & (wanted < len(y))].to(y.device)
        self.chosen.append((x[wanted], probabilities[wanted], y[wanted]))
        wrong = (predicted != y).nonzero()[:, 0]
        candidates: tuple[Tensor, ...] = (x[wrong], probabilities[wrong], y[wrong], confidence[wrong])
        if self.mistakes is not None:
            candidates = tuple(torch.cat(pair) for pair in zip(self.mistakes, candidates, strict=True))
        worst = candidates[3].topk(min(self.examples, len(candidates[3]))).indices
        self.mistakes = tuple(part[worst] for part in candidates)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.draw(trainer, "val", "validation")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.draw(trainer, "test", "test")

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        counts = trainer.strategy.reduce(self.counts, reduce_op="sum")
        if not trainer.is_global_zero:
            return
        names = trainer.datamodule.class_names
        matrix = counts.view(len(names), len(names)).cpu()
        total, right = int(matrix.sum()), int(matrix.diag().sum())
        of = f"{self.run.experiment}, {word} set: {right:,} of {total:,} right ({right / max(total, 1):.2%})"
        self.save(trainer, figures.confusion_matrix(matrix, names, of), f"confusion_matrix_{split}")
        chosen = [torch.cat(part) for part in zip(*self.chosen, strict=True)]
        grids = {"predictions": (chosen, "predictions"), "mistakes": (self.mistakes, "most confident mistakes")}
        for name, (grid, what) in grids.items():
            if grid is not None and len(grid[0]):
                x, probabilities, y = (part.cpu() for part in grid[:3])
                x = trainer.datamodule.displayable(x)
                captions = [f"true: {names[k]}" for k in y.tolist()]
                title = f"{self.run.experiment}, {word} set: {what} (true class in orange)"
                self.save(trainer, figures.top5_grid(x, probabilities, y, names, captions, title), f"{name}_{split}")

    def save(self, trainer: L.Trainer, figure: Any, name: str) -> None:
        if not trainer.is_global_zero:
            return
        path = self.run.figures / f"{name}.png"
        figures.save(figure, path)
        for logger in trainer.loggers:
            if isinstance(logger, WandB):
                logger.log_image(f"figures/{name}", [str(path)])
