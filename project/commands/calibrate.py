"""`python -m project calibrate`: fit the temperature of a classifier's probabilities.

The temperature is fitted on the validation set and kept in the checkpoint, where predict, test,
export and `load` find it. Predicted classes and losses stay as they are.
"""

from typing import TYPE_CHECKING, Any

import lightning as L
import torch.nn.functional as F
from torch import Tensor

from project import plots
from project.callbacks.plots import gathered
from project.cli.keys import add_checkpoint as add_arguments
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, open_run
from project.errors import UserError
from project.models import Classification
from project.models.objectives.temperature import BINS, calibration_error, fit_temperature
from project.run.checkpoint_io import SafeCheckpointIO, read_checkpoint

if TYPE_CHECKING:
    from project.cli.main import CLI

__all__ = ["add_arguments", "run"]


class Outputs(L.Callback):
    """Keeps the outputs and targets of a validation."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.true: list[Tensor] = []

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.outputs.append(outputs.float().cpu())
        self.true.append(batch[1].cpu())

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.outputs = [gathered(trainer, self.outputs)]
        self.true = [gathered(trainer, self.true)]


def run(cli: "CLI") -> None:
    """Calibrate the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    cli.run, objective = open_run(cli), getattr(cli.model, "objective", None)
    if not isinstance(objective, Classification):
        raise UserError("calibrate is for classes: it needs a run with --objective Classification")
    objective.plots, seen = False, Outputs()
    trainer = cli.trainer = evaluation_trainer(cli, "validate", [seen])
    rows = cli.evaluate("validate", cli.checkpoint)
    if not trainer.is_global_zero:
        return
    [outputs], [y] = seen.outputs, seen.true
    y = y if y.ndim == 1 else y.argmax(1)
    objective.temperature = fit_temperature(outputs, y)
    content = read_checkpoint(cli.checkpoint)
    content["objective"] = objective.state_dict()
    SafeCheckpointIO().save_checkpoint(content, cli.checkpoint)
    rows |= compare(cli, outputs, y, objective.temperature)
    print_summary(cli.run, trainer, rows, then="test")


def compare(cli: "CLI", outputs: Tensor, y: Tensor, temperature: float) -> dict[str, str]:
    """Draw reliability diagrams before and after, and give rows for the summary.

    Args:
        cli: The run.
        outputs: Outputs (N, K).
        y: Classes (N,).
        temperature: What the outputs are divided by after.
    """
    correct = outputs.argmax(1) == y
    panels, errors, losses = {}, [], []
    for value in (1.0, temperature):
        scaled = outputs / value
        confidence = scaled.softmax(1).amax(1)
        errors.append(calibration_error(confidence, correct))
        losses.append(float(F.cross_entropy(scaled, y)))
        panels[f"T = {value:.3g}: ECE {errors[-1]:.4f}"] = confidence
    figure = plots.reliability_diagram(
        panels, correct, BINS, f"{cli.run.experiment}, validation set"
    )
    plots.save(figure, cli.run.figures / "reliability_val.png")
    return {
        "temperature": f"{temperature:.4f}, kept in {cli.checkpoint.name}",
        "ECE": "{:.4f} before, {:.4f} after".format(*errors),
        "cross-entropy": "{:.4f} before, {:.4f} after".format(*losses),
    }
