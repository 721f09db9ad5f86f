"""`Neuron`: what one neuron computes, and where a layer's units are on their activation."""

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from project import plots
from project.callbacks.motion.motion import Moment, Motion, evaluating
from project.errors import UserError

SAMPLES = 200  # whose sums are drawn below the activation


class Neuron(Motion):
    """Draws inputs, weights, sum and activation of one neuron for a sample, over the steps.

    Beside it are the activation and its derivative, with the sums of the whole layer: units whose
    derivative is almost zero hardly learn, and a unit whose ReLU is zero for every sample is dead.

    Args:
        frames: Greatest number of frames.
        seconds: How long the picture moves.
        unit: Which neuron of the first layer.
    """

    name = "neuron"

    def __init__(self, frames: int = 24, seconds: float = 6.0, unit: int = 0) -> None:
        super().__init__(frames, seconds)
        self.unit = unit

    def check(self, trainer: L.Trainer, model: Any) -> None:
        layer = first_linear(model)
        if layer is None or self.unit >= layer.out_features:
            raise UserError(
                "Neuron draws a unit of the first linear layer, which this model lacks: leave it "
                "out, or give another unit"
            )

    def look(self, trainer: L.Trainer, model: Any) -> Moment:
        data: Any = trainer.datamodule
        layer = first_linear(model)
        assert layer is not None
        seen: list[tuple[Tensor, Tensor]] = []
        hook = layer.register_forward_hook(lambda _, x, z: seen.append((x[0], z.clone())))
        rows = data.val_indices[:SAMPLES]
        x, y = data.train_set.__getitems__(rows)
        with hook, evaluating(model), torch.no_grad():
            model(data.to_input(x.to(model.device), y)[0])
        [(inputs, sums)] = seen
        bias = torch.zeros(1) if layer.bias is None else layer.bias[self.unit].view(1)
        found = {
            "x": inputs[0],
            "weight": layer.weight[self.unit],
            "bias": bias,
            "sums": sums,
        }
        # Weights that go on changing must not change what is kept.
        return {name: value.detach().float().cpu().clone() for name, value in found.items()}

    def frame(self, step: int, moment: Moment, trainer: L.Trainer) -> Any:
        model: Any = trainer.lightning_module
        names = getattr(trainer.datamodule, "feature_names", None)
        count = len(moment["x"])
        names = (
            names if names is not None and len(names) == count else [f"x{i}" for i in range(count)]
        )
        sums = moment["sums"]
        high = max(float(m["sums"].abs().max()) for m in self.moments.values())
        return plots.neuron(
            moment["x"],
            moment["weight"],
            float(moment["bias"]),
            sums,
            self.unit,
            activation_after(model),
            names,
            high,
            f"unit {self.unit} after {step} steps",
        )


def first_linear(model: nn.Module) -> nn.Linear | None:
    """The linear layer that comes first; None without one."""
    return next((m for m in model.modules() if isinstance(m, nn.Linear)), None)


def activation_after(model: nn.Module) -> nn.Module | None:
    """The activation behind the first linear layer; None if it is the output."""
    layers = [
        m for m in model.modules() if isinstance(m, nn.Linear | nn.ReLU | nn.Tanh | nn.Sigmoid)
    ]
    after = layers[1] if len(layers) > 1 else None
    return None if isinstance(after, nn.Linear) else after
