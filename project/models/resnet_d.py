"""ResNet-D: the stem and shortcuts of "Bag of Tricks" (He et al., 2019, section 4.2)."""

from collections.abc import Callable
from typing import Any

from torch import nn


def change_to_resnet_d(network: Any, channels: int, act: Callable[[], nn.Module]) -> None:
    """Change the stem and the shortcuts of a ResNet.

    The first convolution, of 7x7, becomes three of 3x3. A shortcut averages 2x2 pixels before its
    projection, which would leave out three in four of them.

    Args:
        network: The ResNet.
        channels: Of the images.
        act: Makes the non-linearity.
    """
    network.conv1 = nn.Sequential(
        *(nn.Conv2d(channels, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), act()),
        *(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), act()),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
    )
    for block in network.modules():
        projection = getattr(block, "downsample", None)
        if isinstance(projection, nn.Sequential):
            conv: Any = projection[0]
            pool = nn.AvgPool2d(conv.stride, ceil_mode=True, count_include_pad=False)
            conv.stride = (1, 1)
            projection.insert(0, pool)
