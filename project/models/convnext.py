"""ConvNeXt."""

from typing import Literal

import torch
from torch import Tensor, nn

from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import Stem
from project.optim import exempt_from_decay


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels at each position of (N, C, H, W), or over those of (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class CNBlock(nn.Module):
    """A depthwise 7x7 convolution and an MLP over channels, added to the input (figure 4, right).

    Args:
        channels: Channels of input and output; the MLP has four times as many hidden ones.
        drop_path: Probability of leaving out the block for a sample.
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        from torchvision.ops import Permute, StochasticDepth

        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = exempt_from_decay(nn.Parameter(torch.full((channels, 1, 1), 1e-6)))
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.layer_scale * self.block(x))


# Blocks and channels of each of the four stages, and stochastic depth in the published training:
# section 3.7 and table 5 of the paper. Atto is Wightman's, whose timm trains it without.
SIZES = {
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320), 0.0),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768), 0.1),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768), 0.4),
}


class ConvNeXt(Architecture):
    """ConvNeXt (Liu et al., 2022) as torchvision has it.

    Weights start from a truncated normal distribution of deviation 0.02, biases from zero, and the
    scale of each block's output from 1e-6 (Touvron et al., 2021, "LayerScale").

    Args:
        size: ``atto``, ``tiny`` or ``small``, of 4, 29 or 50 million parameters.
        stem: ``small`` sees 28 to 64 pixels with patches of 2x2 instead of 4x4 pixels.
        dropout: Probability of zeroing an input of the last layer in training; the paper has none.
        drop_path: Stochastic depth (Huang et al., 2016): the probability of leaving out the last
            block for a sample, which falls linearly to 0 at the first. None for the published one:
            0, 0.1 and 0.4 by size.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("classifier.2",)

    def __init__(
        self,
        size: Literal["atto", "tiny", "small"] = "tiny",
        stem: Stem = "imagenet",
        dropout: float = 0.0,
        drop_path: float | None = None,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        small = stem == "small"
        patch = 2 if small else 4
        check_pixels(self, 8 * patch)
        num_blocks, widths, published_drop_path = SIZES[size]
        drop_path = published_drop_path if drop_path is None else drop_path
        rates = [drop_path * i / (sum(num_blocks) - 1) for i in range(sum(num_blocks))]

        in_channels = self.input_shape[0]
        layers: list[nn.Module] = []
        blocks: list[CNBlock] = []
        for channels, count in zip(widths, num_blocks, strict=True):
            if not layers:  # the stem: patches that do not overlap
                convolution = nn.Conv2d(in_channels, channels, kernel_size=patch, stride=patch)
                layers.append(nn.Sequential(convolution, LayerNorm2d(channels, eps=1e-6)))
            else:
                convolution = nn.Conv2d(in_channels, channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(LayerNorm2d(in_channels, eps=1e-6), convolution))
            stage = [CNBlock(channels, rates[len(blocks) + i]) for i in range(count)]
            layers.append(nn.Sequential(*stage))
            blocks += stage
            in_channels = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.features = nn.Sequential(*layers, self.avgpool, nn.Flatten())
        self.classifier = nn.Sequential(
            LayerNorm2d(in_channels, eps=1e-6),
            nn.Dropout(dropout),
            nn.Linear(in_channels, self.num_classes),
        )

        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        if activation_checkpointing:
            checkpoint_blocks(blocks)
        published = not small and size != "atto"
        self.initialize(torchvision_name=f"convnext_{size}" if published else None)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(x))
