"""ResNet."""

from collections.abc import Callable
from typing import ClassVar, Literal

from torch import Tensor, nn

from project.errors import UserError
from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.layers import ACTIVATIONS, POOLS, Activation, Pool
from project.models.resnet_d import change_to_resnet_d


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added (He et al., 2016, figure 5, left).

    Args:
        in_channels: Channels of the input.
        channels: Channels of the convolutions.
        stride: Of the first convolution.
        act: Makes the non-linearity.
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int, act: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act = act()
        self.downsample = shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.act(out + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut (He et al., 2016, figure 5, right).

    The stride is in the 3x3 convolution as in torchvision ("ResNet 1.5"); the paper has it in the
    first 1x1.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the first two convolutions; the last has four times as many.
        stride: Of the second convolution.
        act: Makes the non-linearity.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, act: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(
            channels, channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.act = act()
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.bn1(self.conv1(x)))
        out = self.act(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.act(out + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a projection where the shape changes (He et al., 2016, 3.3, option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels))


# Table 1 of the paper: the block, and how many of them in each of the four stages.
BLOCKS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(Architecture):
    """Deep residual network (He et al., 2016) as torchvision has it, for images of any size.

    Convolutions start from He's normal distribution (He et al., 2015, fan out).

    Args:
        depth: Number of layers with weights.
        stem: ``small`` sees 28 to 64 pixels with a 3x3 convolution of stride 1 and without the
            pooling after it, as the paper does for CIFAR-10 (section 4.2); ``deep`` is ResNet-D.
        zero_init_residual: Start each block as the identity, its last norm at zero (Goyal et al.,
            2017, section 5.1).
        activation: Non-linearity.
        pool: Subsampling in the ImageNet stem.
        dropout: Probability of zeroing an input of the last layer in training; the paper has none.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("fc",)

    def __init__(
        self,
        depth: Literal[18, 34, 50, 101, 152] = 18,
        stem: Literal["imagenet", "small", "deep"] = "imagenet",
        zero_init_residual: bool = False,
        activation: Activation = "relu",
        pool: Pool = "max",
        dropout: float = 0.0,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        act, channels, small = ACTIVATIONS[activation], self.input_shape[0], stem == "small"
        if small and pool != "max":
            raise UserError(
                f"ResNet's small stem does not pool: leave out pool {pool}, or use stem imagenet"
            )
        size, stride = (3, 1) if small else (7, 2)
        self.conv1: nn.Module = nn.Conv2d(channels, 64, size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.act = act()
        self.maxpool = nn.Identity() if small else POOLS[pool](kernel_size=3, stride=2, padding=1)

        (block, num_blocks), in_channels = BLOCKS[depth], 64

        def stage(channels: int, num_blocks: int, stride: int) -> nn.Sequential:
            nonlocal in_channels
            blocks = []
            for i in range(num_blocks):
                blocks.append(block(in_channels, channels, stride if i == 0 else 1, act))
                in_channels = channels * block.expansion
            return nn.Sequential(*blocks)

        self.layer1 = stage(64, num_blocks[0], stride=1)
        self.layer2 = stage(128, num_blocks[1], stride=2)
        self.layer3 = stage(256, num_blocks[2], stride=2)
        self.layer4 = stage(512, num_blocks[3], stride=2)
        if stem == "deep":
            change_to_resnet_d(self, channels, act)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(in_channels, self.num_classes)

        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(layer, BasicBlock | Bottleneck):
                nn.init.zeros_((layer.bn2 if isinstance(layer, BasicBlock) else layer.bn3).weight)
        if activation_checkpointing:
            checkpoint_blocks([*self.layer1, *self.layer2, *self.layer3, *self.layer4])
        self.initialize(torchvision_name=f"resnet{depth}" if stem == "imagenet" else None)

    def features(self, x: Tensor) -> Tensor:
        """Channels (N, D) of the last stage, averaged over the image, for images (N, C, H, W)."""
        x = self.maxpool(self.act(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.avgpool(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.fc(self.dropout(self.features(x)))
