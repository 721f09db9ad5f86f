"""The example that Lightning's summary gives a network, to count its operations."""

from typing import Any

import lightning as L
import torch
from torch.utils.flop_counter import flop_registry, register_flop_formula


class ExampleInput(L.LightningModule):
    """Keeps the example, which has no targets, from the hooks that datasets have for batches."""

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        if batch is self.example_input_array:
            return batch
        return super()._on_before_batch_transfer(batch, dataloader_idx)

    def _apply_batch_transfer_handler(
        self, batch: Any, device: Any = None, dataloader_idx: int = 0
    ) -> Any:
        if batch is self.example_input_array:
            return batch.to(device or self.device)
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)


def attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any
) -> int:
    """Operations of attention on CPUs, for queries (N, heads, L, D), keys and values."""
    samples, heads, length, _depth = query
    return 2 * samples * heads * length * key[2] * (key[3] + value[3])


def self_attention_flops(tokens: torch.Size, *_: Any, **__: Any) -> int:
    """Operations of `nn.MultiheadAttention` in evaluation, for tokens (N, L, D)."""
    samples, length, width = tokens
    return 2 * samples * length * (4 * width * width + 2 * length * width)


# PyTorch's counter leaves out these two, and with them most of a transformer.
for operation, formula in (
    (torch.ops.aten._scaled_dot_product_flash_attention_for_cpu, attention_flops),
    (torch.ops.aten._native_multi_head_attention, self_attention_flops),
):
    if operation not in flop_registry:
        register_flop_formula(operation)(formula)
