"""ViT."""

import logging
import math
from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from project.errors import UserError
from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.vit.encoder import Encoder, EncoderBlock
from project.models.vit.positions import interpolate_positions, sin_cos_positions
from project.optim import exempt_from_decay

log = logging.getLogger(__name__)

# Width and number of heads; each has 12 blocks. The base is of table 1 of the paper, the others are
# of Touvron et al. (2021), table 1.
SIZES = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}
NUM_BLOCKS = 12


class ViT(Architecture):
    """Vision transformer (Dosovitskiy et al., 2021) as torchvision has it, with one linear head.

    As there, weights start from Glorot's uniform distribution, positions from a normal one of
    deviation 0.02, and the head from zero. Weights of another image size are loaded with
    interpolated positions.

    Args:
        size: ``tiny``, ``small`` or ``base``, of 5, 22 or 86 million parameters.
        patch: Side of a patch in pixels, which must divide the image; 4 suits 28 to 64 pixels.
        simple: Average all tokens instead of reading a class token, and fix the positions to sines
            and cosines (Beyer et al., 2022).
        dropout: Probability of zeroing an output of any layer in training.
        drop_path: Stochastic depth (Huang et al., 2016): the probability of leaving out the last
            block for a sample, which falls linearly to 0 at the first. The paper has none.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("heads.head",)

    def __init__(
        self,
        size: Literal["tiny", "small", "base"] = "small",
        patch: Literal[4, 8, 16, 32] = 16,
        simple: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_patches(self, patch)
        channels, height, width = self.input_shape
        self.grid = height // patch, width // patch
        dim, num_heads = SIZES[size]
        self.conv_proj = nn.Conv2d(channels, dim, kernel_size=patch, stride=patch)
        self.class_token = None
        if simple:
            positions = sin_cos_positions(*self.grid, dim)
        else:
            self.class_token = exempt_from_decay(nn.Parameter(torch.zeros(1, 1, dim)))
            tokens = 1 + math.prod(self.grid)
            positions = nn.Parameter(torch.empty(1, tokens, dim).normal_(std=0.02))
        rates = [drop_path * i / (NUM_BLOCKS - 1) for i in range(NUM_BLOCKS)]
        blocks = [EncoderBlock(dim, num_heads, dropout, rate) for rate in rates]
        self.encoder = Encoder(positions, blocks, dropout)
        head = nn.Linear(dim, self.num_classes)
        self.heads = nn.Sequential(OrderedDict(head=head))

        nn.init.trunc_normal_(self.conv_proj.weight, std=(channels * patch**2) ** -0.5)
        for zero in (self.conv_proj.bias, head.weight, head.bias):
            assert zero is not None
            nn.init.zeros_(zero)
        if activation_checkpointing:
            checkpoint_blocks(blocks)
        published = size == "base" and patch >= 16 and not simple
        self.initialize(torchvision_name=f"vit_b_{patch}" if published else None)

    def features(self, x: Tensor) -> Tensor:
        """The class token, or the mean of all tokens (N, D), for images (N, C, H, W)."""
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        if self.class_token is None:
            return self.encoder(x).mean(1)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.encoder(x)[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.heads(self.features(x))

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        # torchvision's files have names that its class has changed since.
        for old, new in (("mlp.linear_1.", "mlp.0."), ("mlp.linear_2.", "mlp.3.")):
            state = {name.replace(old, new): tensor for name, tensor in state.items()}
        positions = state.get("encoder.pos_embedding")
        if self.class_token is None or positions is None or positions.ndim != 3:
            return state
        if positions.shape[1] != self.encoder.pos_embedding.shape[1]:
            state["encoder.pos_embedding"] = interpolate_positions(positions, *self.grid)
            rows, columns = self.grid
            log.info(f"positions interpolated from {positions.shape[1] - 1} to {rows}x{columns}")
        return state


def check_patches(model: ViT, patch: int) -> None:
    """Raise UserError if patches of this side do not divide the images."""
    check_pixels(model, 1)
    height, width = model.input_shape[1:]
    if height % patch or width % patch:
        fitting = [str(p) for p in (4, 8, 16, 32) if height % p == 0 == width % p]
        advice = f"--model.patch {' or '.join(fitting)}" if fitting else "sides of a multiple of 4"
        raise UserError(
            f"ViT's patches of {patch} pixels do not divide images of {height}x{width}: "
            f"give {advice}"
        )
