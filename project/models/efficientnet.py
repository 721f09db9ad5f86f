"""EfficientNet."""

from functools import partial
from typing import ClassVar, Literal

from torch import Tensor, nn

from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import Stem


class MBConv(nn.Module):
    """Inverted bottleneck (Sandler et al., 2018) with squeeze-and-excitation (Hu et al., 2018).

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        expansion: Factor of the channels in between.
        kernel_size: Size of the convolution that sees the neighbourhood.
        stride: Stride of that convolution.
        drop_path: Probability of leaving out the block for a sample, where it has a shortcut.
        eps: Constant in the denominators of the batch norms.
    """

    fused: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        channels: int,
        expansion: int,
        kernel_size: int,
        stride: int,
        drop_path: float,
        eps: float,
    ) -> None:
        from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=eps)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        wide = in_channels * expansion
        layers: list[nn.Module] = []
        if self.fused:
            layers.append(
                conv(in_channels, wide if expansion > 1 else channels, kernel_size, stride)
            )
        else:
            layers += [conv(in_channels, wide, kernel_size=1)] if expansion > 1 else []
            layers.append(conv(wide, wide, kernel_size, stride, groups=wide))
            layers.append(SqueezeExcitation(wide, in_channels // 4, activation=nn.SiLU))
        if not self.fused or expansion > 1:
            layers.append(conv(wide, channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.shortcut = stride == 1 and in_channels == channels
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.block(x)) if self.shortcut else self.block(x)


class FusedMBConv(MBConv):
    """One full convolution in the place of the first two, and no excitation (2021, figure 2)."""

    fused = True


# Block, expansion, kernel size, stride, channels and number of layers of each stage: table 1 of Tan
# and Le (2019) and table 4 of Tan and Le (2021).
Row = tuple[type[MBConv], int, int, int, int, int]
STAGES: dict[str, tuple[Row, ...]] = {
    "b0": (
        (MBConv, 1, 3, 1, 16, 1),
        (MBConv, 6, 3, 2, 24, 2),
        (MBConv, 6, 5, 2, 40, 2),
        (MBConv, 6, 3, 2, 80, 3),
        (MBConv, 6, 5, 1, 112, 3),
        (MBConv, 6, 5, 2, 192, 4),
        (MBConv, 6, 3, 1, 320, 1),
    ),
    "v2_s": (
        (FusedMBConv, 1, 3, 1, 24, 2),
        (FusedMBConv, 4, 3, 2, 48, 4),
        (FusedMBConv, 4, 3, 2, 64, 4),
        (MBConv, 4, 3, 2, 128, 6),
        (MBConv, 6, 3, 1, 160, 9),
        (MBConv, 6, 3, 2, 256, 15),
    ),
}


class EfficientNet(Architecture):
    """EfficientNet-B0 (Tan & Le, 2019) and V2-S (Tan & Le, 2021) as torchvision has them.

    Convolutions start from He's normal distribution (He et al., 2015, fan out).

    Args:
        variant: ``b0`` or ``v2_s``, of 5 or 21 million parameters.
        stem: ``small`` sees 28 to 64 pixels: the first convolution and the first stage that would
            halve the image have stride 1.
        dropout: Probability of zeroing an input of the last layer in training.
        drop_path: Stochastic depth (Huang et al., 2016): the probability of leaving out a block
            for a sample, which rises linearly from 0 at the first block towards this.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("classifier.1",)

    def __init__(
        self,
        variant: Literal["b0", "v2_s"] = "b0",
        stem: Stem = "imagenet",
        dropout: float = 0.2,
        drop_path: float = 0.2,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        from torchvision.ops import Conv2dNormActivation

        super().__init__(**kwargs)
        check_pixels(self, 1)
        small, stages = stem == "small", STAGES[variant]
        in_channels, eps = (32, 1e-5) if variant == "b0" else (24, 1e-3)
        norm = partial(nn.BatchNorm2d, eps=eps)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        stride = 1 if small else 2
        layers = [conv(self.input_shape[0], in_channels, kernel_size=3, stride=stride)]
        blocks: list[MBConv] = []
        for k, (block, expansion, kernel_size, stride, channels, num_layers) in enumerate(stages):
            stride = 1 if small and k == 1 else stride
            stage = []
            for i in range(num_layers):
                rate = drop_path * (len(blocks) + i) / sum(row[-1] for row in stages)
                options = (expansion, kernel_size, stride if i == 0 else 1, rate, eps)
                stage.append(block(in_channels, channels, *options))
                in_channels = channels
            layers.append(nn.Sequential(*stage))
            blocks += stage
        layers.append(conv(in_channels, 1280, kernel_size=1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.features = nn.Sequential(*layers, self.avgpool, nn.Flatten())
        head = nn.Linear(1280, self.num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout), head)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.uniform_(head.weight, -(self.num_classes**-0.5), self.num_classes**-0.5)
        nn.init.zeros_(head.bias)
        if activation_checkpointing:
            checkpoint_blocks(blocks)
        self.initialize(torchvision_name=None if small else f"efficientnet_{variant}")

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(x))
