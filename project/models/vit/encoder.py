"""The encoder of ViT (Dosovitskiy et al., 2021, figure 1)."""

from collections import OrderedDict

from torch import Tensor, nn

from project.optim import exempt_from_decay


class EncoderBlock(nn.Module):
    """Attention between tokens, then an MLP for each, both added to their input (figure 1, right).

    Args:
        width: Length of a token.
        num_heads: Number of attention heads.
        dropout: Probability of zeroing an output of the attention or of a layer of the MLP.
        drop_path: Probability of leaving out the attention, and the MLP, of a sample.
    """

    def __init__(self, width: int, num_heads: int, dropout: float, drop_path: float) -> None:
        from torchvision.ops import MLP, StochasticDepth

        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, [4 * width, width], activation_layer=nn.GELU, dropout=dropout)
        self.drop_path = StochasticDepth(drop_path, "row")
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.drop_path(self.dropout(y))
        return x + self.drop_path(self.mlp(self.ln_2(x)))


class Encoder(nn.Module):
    """Adds positions to the tokens, and goes through the blocks (figure 1, left).

    Args:
        positions: (1, tokens, width); a parameter is learned, another tensor is fixed.
        blocks: The blocks, from the first to the last.
        dropout: Probability of zeroing an element of a token with its position.
    """

    pos_embedding: Tensor

    def __init__(self, positions: Tensor, blocks: list[EncoderBlock], dropout: float) -> None:
        super().__init__()
        if isinstance(positions, nn.Parameter):
            self.pos_embedding = exempt_from_decay(positions)
        else:
            self.register_buffer("pos_embedding", positions, persistent=False)
        self.dropout = nn.Dropout(dropout)
        named = ((f"encoder_layer_{i}", block) for i, block in enumerate(blocks))
        self.layers = nn.Sequential(OrderedDict(named))
        self.ln = nn.LayerNorm(positions.shape[2], eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))
