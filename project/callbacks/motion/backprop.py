"""`Backprop`: how large the gradients of each layer are."""

from typing import Any

import lightning as L
import torch

from project import plots
from project.callbacks.motion.motion import Moment, Motion


class Backprop(Motion):
    """Draws the norm of the gradient of each layer's weights over the steps.

    Under sigmoids it falls steeply from layer to layer towards the input (Hochreiter, 1991), under
    ReLU far less. A weight without a gradient counts as zero.
    """

    name = "backprop"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.norms: Moment | None = None  # there are no gradients yet

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any
    ) -> None:
        step = trainer.global_step + 1  # the number of the step that this is
        last = step == trainer.estimated_stepping_batches
        if step % self.every and not last:
            return
        none = torch.zeros(1, device=pl_module.device)
        gradients = [none if p.grad is None else p.grad for _, p in weights(pl_module)]
        self.norms = {"norms": torch.stack(torch._foreach_norm(gradients)).float()}

    def look(self, trainer: L.Trainer, model: Any) -> Moment | None:
        return None if self.norms is None else {"norms": self.norms["norms"].cpu()}

    def frame(self, step: int, moment: Moment, trainer: L.Trainer) -> Any:
        steps = [s for s in sorted(self.moments) if s <= step]
        norms = torch.stack([self.moments[s]["norms"] for s in steps])
        every = torch.cat([m["norms"] for m in self.moments.values()])
        names = [name.removesuffix(".weight") for name, _ in weights(trainer.lightning_module)]
        return plots.gradient_norms(norms, names, steps, every, max(self.moments))


def weights(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights that are trained, without biases and norms, from the input on."""
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
