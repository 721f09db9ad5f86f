"""AlexNet."""

from torch import Tensor, nn

from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import ACTIVATIONS, POOLS, Activation, Pool, Stem


class AlexNet(Architecture):
    """AlexNet (Krizhevsky, Sutskever & Hinton, 2012) as torchvision has it.

    That is the single-column form of Krizhevsky (2014), "One weird trick", without local response
    normalisation, and with PyTorch's own initialisation of weights.

    Args:
        stem: ``small`` sees 28 to 64 pixels with a 5x5 convolution of stride 1, and its hidden
            layers are 1024 wide.
        activation: Non-linearity after each layer but the last.
        pool: Subsampling, 3x3 with stride 2.
        dropout: Probability of zeroing an input of the two hidden fully connected layers in
            training.
        batch_norm: Normalise before each activation of a convolution (Ioffe & Szegedy, 2015).
    """

    head_names = ("classifier.6",)

    def __init__(
        self,
        stem: Stem = "imagenet",
        activation: Activation = "relu",
        pool: Pool = "max",
        dropout: float = 0.5,
        batch_norm: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        act, pooling = ACTIVATIONS[activation], POOLS[pool]

        def conv(
            in_channels: int,
            out_channels: int,
            kernel_size: int,
            stride: int = 1,
            padding: int | None = None,
        ):
            padding = kernel_size // 2 if padding is None else padding
            norm = [nn.BatchNorm2d(out_channels)] if batch_norm else []
            return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding), *norm, act()

        if stem == "imagenet":
            check_pixels(self, 63)
            first = conv(self.input_shape[0], 64, kernel_size=11, stride=4, padding=2)
            size, width = 6, 4096
        else:
            check_pixels(self, 15)
            first = conv(self.input_shape[0], 64, kernel_size=5)
            size, width = 2, 1024
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.features = nn.Sequential(
            *first,
            pooling(3, stride=2),
            *conv(64, 192, kernel_size=5),
            pooling(3, stride=2),
            *conv(192, 384, kernel_size=3),
            *conv(384, 256, kernel_size=3),
            *conv(256, 256, kernel_size=3),
            pooling(3, stride=2),
            self.avgpool,
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * size * size, width),
            act(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            act(),
            nn.Linear(width, self.num_classes),
        )
        self.initialize(
            torchvision_name="alexnet" if stem == "imagenet" and not batch_norm else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(x))
