"""The multi-layer perceptron."""

import math
from itertools import pairwise

from torch import Tensor, nn

from project.errors import UserError
from project.models.architecture import Architecture
from project.models.layers import ACTIVATIONS, Activation


class MLP(Architecture):
    """Multi-layer perceptron (Rumelhart, Hinton & Williams, 1986) on the flattened image.

    With ``hidden=()`` it is one layer of neurons: softmax regression.

    Args:
        hidden: Width of each hidden layer.
        activation: Non-linearity after each hidden layer.
        dropout: Probability of zeroing a hidden unit in training (Srivastava et al., 2014).
        batch_norm: Normalise before each activation (Ioffe & Szegedy, 2015).
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (128, 64),
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if any(width < 1 for width in hidden):
            raise UserError(f"hidden {list(hidden)}: the width of a layer is a positive number")
        widths = (math.prod(self.input_shape), *hidden)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            # A norm has a bias of its own, so the layer under it needs none.
            layers.append(nn.Linear(fan_in, fan_out, bias=not batch_norm))
            layers += [nn.BatchNorm1d(fan_out)] if batch_norm else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], self.num_classes)
        self.initialize()

    def features(self, x: Tensor) -> Tensor:
        """Units (N, D) of the last hidden layer for samples (N, *input_shape)."""
        return self.layers(x.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for samples (N, *input_shape)."""
        return self.head(self.features(x))
