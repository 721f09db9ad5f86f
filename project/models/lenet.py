"""LeNet-5."""

from torch import Tensor, nn

from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import ACTIVATIONS, POOLS, Activation, Pool


class LeNet(Architecture):
    """LeNet-5 (LeCun et al., 1998, section II.B) for images from 12x12.

    As is common now, the second convolution sees every map of the first, subsampling is plain
    pooling, and the output layer is linear in place of the paper's radial basis functions. 28x28
    images are padded to the paper's 32x32.

    Args:
        activation: Non-linearity after each layer; the paper's is a scaled tanh.
        pool: The paper averages.
        batch_norm: Normalise before each activation (Ioffe & Szegedy, 2015).
        dropout: Probability of zeroing a unit of the two fully connected layers in training.
    """

    def __init__(
        self,
        activation: Activation = "tanh",
        pool: Pool = "avg",
        batch_norm: bool = False,
        dropout: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_pixels(self, 12)
        channels, height, width = self.input_shape
        act, pooling = ACTIVATIONS[activation], POOLS[pool]

        def block(layer: nn.Module, norm: nn.Module, *after: nn.Module) -> nn.Sequential:
            return nn.Sequential(layer, *([norm] if batch_norm else []), act(), *after)

        bias = not batch_norm  # a norm has a bias of its own
        self.c1 = block(
            nn.Conv2d(channels, 6, 5, padding=2, bias=bias), nn.BatchNorm2d(6), pooling(2)
        )
        self.c3 = block(nn.Conv2d(6, 16, 5, bias=bias), nn.BatchNorm2d(16), pooling(2))
        area = ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
        self.f5 = block(
            nn.Linear(16 * area, 120, bias=bias), nn.BatchNorm1d(120), nn.Dropout(dropout)
        )
        self.f6 = block(nn.Linear(120, 84, bias=bias), nn.BatchNorm1d(84), nn.Dropout(dropout))
        self.head = nn.Linear(84, self.num_classes)
        self.initialize()

    def features(self, x: Tensor) -> Tensor:
        """Units (N, 84) of the last hidden layer for images (N, C, H, W)."""
        return self.f6(self.f5(self.c3(self.c1(x)).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.head(self.features(x))
