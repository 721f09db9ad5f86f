"""MobileNetV3."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor, nn

from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import Stem

Layer = Callable[..., nn.Module]


class Row(NamedTuple):
    """A row of table 1 or 2 of the paper."""

    kernel_size: int  # of the depthwise convolution
    wide: int  # channels between the two 1x1 convolutions
    channels: int  # of the output
    squeezed: int  # channels in squeeze-and-excitation, about a quarter of `wide`; 0 without it
    act: Layer
    stride: int  # of the depthwise convolution


class InvertedResidual(nn.Module):
    """A bottleneck that is wide inside (section 5 and figure 4 of the paper).

    Args:
        in_channels: Channels of the input.
        row: What the block is like.
        drop_path: Probability of leaving out the block for a sample, where it has a shortcut.
        norm: Makes the batch norms.
    """

    def __init__(self, in_channels: int, row: Row, drop_path: float, norm: Layer) -> None:
        from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

        super().__init__()
        wide, channels = row.wide, row.channels
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=row.act)
        layers = [conv(in_channels, wide, kernel_size=1)] if wide != in_channels else []
        layers.append(conv(wide, wide, row.kernel_size, row.stride, groups=wide))
        if row.squeezed:
            layers.append(SqueezeExcitation(wide, row.squeezed, scale_activation=nn.Hardsigmoid))
        layers.append(conv(wide, channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.shortcut = row.stride == 1 and in_channels == channels
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.block(x)) if self.shortcut else self.block(x)


RE, HS = nn.ReLU, nn.Hardswish
HIDDEN = {"large": 1280, "small": 1024}  # units of the last layer but one
BLOCKS = {
    "large": [
        Row(3, 16, 16, 0, RE, 1),
        Row(3, 64, 24, 0, RE, 2),
        Row(3, 72, 24, 0, RE, 1),
        Row(5, 72, 40, 24, RE, 2),
        Row(5, 120, 40, 32, RE, 1),
        Row(5, 120, 40, 32, RE, 1),
        Row(3, 240, 80, 0, HS, 2),
        Row(3, 200, 80, 0, HS, 1),
        Row(3, 184, 80, 0, HS, 1),
        Row(3, 184, 80, 0, HS, 1),
        Row(3, 480, 112, 120, HS, 1),
        Row(3, 672, 112, 168, HS, 1),
        Row(5, 672, 160, 168, HS, 2),
        Row(5, 960, 160, 240, HS, 1),
        Row(5, 960, 160, 240, HS, 1),
    ],
    "small": [
        Row(3, 16, 16, 8, RE, 2),
        Row(3, 72, 24, 0, RE, 2),
        Row(3, 88, 24, 0, RE, 1),
        Row(5, 96, 40, 24, HS, 2),
        Row(5, 240, 40, 64, HS, 1),
        Row(5, 240, 40, 64, HS, 1),
        Row(5, 120, 48, 32, HS, 1),
        Row(5, 144, 48, 40, HS, 1),
        Row(5, 288, 96, 72, HS, 2),
        Row(5, 576, 96, 144, HS, 1),
        Row(5, 576, 96, 144, HS, 1),
    ],
}


class MobileNetV3(Architecture):
    """MobileNetV3 (Howard et al., 2019) as torchvision has it.

    Convolutions start from He's normal distribution (He et al., 2015, fan out), and fully connected
    layers from a standard deviation of 0.01.

    Args:
        size: ``large`` or ``small``, of 5.5 or 2.5 million parameters.
        stem: ``small`` sees 28 to 64 pixels: the first convolution and the first block that would
            halve the image have stride 1, and the statistics of batch norms follow the batches ten
            times as fast, because such trainings are short.
        dropout: Probability of zeroing an input of the last layer in training.
        drop_path: Stochastic depth (Huang et al., 2016): the probability of leaving out the last
            block for a sample, which falls linearly to 0 at the first. The paper has none.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("classifier.3",)

    def __init__(
        self,
        size: Literal["small", "large"] = "large",
        stem: Stem = "imagenet",
        dropout: float = 0.2,
        drop_path: float = 0.0,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        from torchvision.ops import Conv2dNormActivation

        super().__init__(**kwargs)
        check_pixels(self, 1)
        small, rows = stem == "small", BLOCKS[size]
        kept = next(row for row in rows if row.stride == 2) if small else None
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1 if small else 0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=HS)
        in_channels = 16
        first = conv(self.input_shape[0], in_channels, kernel_size=3, stride=1 if small else 2)
        blocks: list[InvertedResidual] = []
        for i, row in enumerate(rows):
            rate = drop_path * i / (len(rows) - 1)
            row = row._replace(stride=1) if row is kept else row
            blocks.append(InvertedResidual(in_channels, row, rate, norm))
            in_channels = row.channels
        last = conv(in_channels, 6 * in_channels, kernel_size=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.features = nn.Sequential(first, *blocks, last, self.avgpool, nn.Flatten())
        self.classifier = nn.Sequential(
            nn.Linear(6 * in_channels, HIDDEN[size]),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN[size], self.num_classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if activation_checkpointing:
            checkpoint_blocks(blocks)
        self.initialize(torchvision_name=None if small else f"mobilenet_v3_{size}")

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(x))
