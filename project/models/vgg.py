"""VGG."""

from typing import Literal

from torch import Tensor, nn

from project.models.activation_checkpointing import checkpoint_stages
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import ACTIVATIONS, POOLS, Activation, Pool, Stem

# Table 1 of the paper: 3x3 convolutions in each of the five stages, by the number of layers with
# weights.
NUM_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


class VGG(Architecture):
    """VGG (Simonyan & Zisserman, 2014), configurations A, B, D and E, as torchvision has it.

    As there, convolutions start from He's normal distribution (He et al., 2015, fan out), and fully
    connected layers from a standard deviation of 0.01. That is right for 4096 inputs; those of the
    small stem start from He's, fan in.

    Args:
        depth: Number of layers with weights.
        stem: ``small`` sees 28 to 64 pixels: the convolutions, of stride 1 from the first, are the
            same; pooling rounds sizes up, and its hidden layers are 512 wide on one position.
        batch_norm: Normalise before each activation of a convolution (Ioffe & Szegedy, 2015).
        activation: Non-linearity after each layer but the last.
        pool: Subsampling after each stage, 2x2.
        dropout: Probability of zeroing a unit of the two hidden fully connected layers in training.
        activation_checkpointing: Store the activations between stages only, and compute the others
            again in backward.
    """

    head_names = ("classifier.6",)

    def __init__(
        self,
        depth: Literal[11, 13, 16, 19] = 16,
        stem: Stem = "imagenet",
        batch_norm: bool = False,
        activation: Activation = "relu",
        pool: Pool = "max",
        dropout: float = 0.5,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        act, small = ACTIVATIONS[activation], stem == "small"
        if not small:
            check_pixels(self, 32)
        layers: list[nn.Module] = []
        ends, in_channels = [0], self.input_shape[0]
        for channels, num_convs in zip(CHANNELS, NUM_CONVS[depth], strict=True):
            for _ in range(num_convs):
                layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1))
                layers += [nn.BatchNorm2d(channels)] if batch_norm else []
                layers.append(act())
                in_channels = channels
            layers.append(POOLS[pool](2, stride=2, ceil_mode=small))
            ends.append(len(layers))
        size, width = (1, 512) if small else (7, 4096)
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.features = nn.Sequential(*layers, self.avgpool, nn.Flatten())
        if activation_checkpointing:
            checkpoint_stages(self.features, [*ends, len(self.features)])
        self.classifier = nn.Sequential(
            nn.Linear(512 * size * size, width),
            act(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            act(),
            nn.Dropout(dropout),
            nn.Linear(width, self.num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear) and small:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.initialize(
            torchvision_name=None if small else f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(x))
