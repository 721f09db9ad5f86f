"""Activation checkpointing: memory for time."""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Runner = Callable[[nn.Module, Tensor], Tensor]


def block_runner(activation_checkpointing: bool) -> Runner:
    """What calls a block: plainly, or so that backward computes its inner activations again (Chen et al., 2016)."""
    return checkpointed if activation_checkpointing else operator.call


def checkpointed(block: nn.Module, x: Tensor) -> Tensor:
    """``block(x)``, of which only ``x`` is stored for backward; gradients and running statistics are the same."""
    if torch.compiler.is_compiling():  # the compiler writes buffers once
        return checkpoint(block, x, use_reentrant=False)
    return checkpoint(block, x, use_reentrant=False, context_fn=lambda: (nullcontext(), buffers_kept(block)))


@contextmanager
def buffers_kept(block: nn.Module) -> Iterator[None]:
    """The second forward must not move the running statistics of batch norms a second time."""
    kept = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)
