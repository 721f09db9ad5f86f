"""EMA: an exponential moving average of the weights, whose decay warms up."""

from collections.abc import Sequence

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from project.errors import UserError


class EMA(WeightAveraging):
    """An average of the weights, which validation, `test` and best.ckpt have.

    It is that of Polyak and Juditsky (1992), taken after every step by Lightning's callback, whose
    EMAWeightAveraging keeps the same fraction at each: a short run, or the first epochs of a long
    one, would validate weights of long ago. Here the update after t others keeps
    min(decay, (1 + t) / (10 + t)), as in TensorFlow. Statistics of norms are averaged too.

    Args:
        decay: Fraction of the average that an update keeps.
        warmup: Let that fraction grow from 2/11 to ``decay``; otherwise it is ``decay`` at once.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise UserError(f"EMA: decay {decay} must lie in [0, 1)")
        self.decay, self.warmup = decay, warmup
        super().__init__(multi_avg_fn=self.update)

    def update(
        self, average: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Tensor | int
    ) -> None:
        """Move averages towards current values in place, without waiting for the device."""
        if not average[0].is_floating_point():  # counts of batches
            torch._foreach_copy_(list(average), list(current))
            return
        t = torch.as_tensor(num_averaged, device=average[0].device)
        grown = (1 + t) / (10 + t) if self.warmup else torch.ones_like(t)
        step = torch._foreach_sub(list(current), list(average))
        torch._foreach_mul_(step, (1 - grown.clamp(max=self.decay)).to(average[0].dtype))
        torch._foreach_add_(list(average), step)
