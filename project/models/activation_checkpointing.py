"""Activation checkpointing (Chen et al., 2016): less memory, more time, the same gradients."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(blocks: Iterable[nn.Module]) -> None:
    """Let each block keep only its input, and compute its activations again during backward.

    The forward of each block is wrapped, so that names, weights and hooks of the network stay as
    they are.
    """
    for block in blocks:
        block.forward = partial(checkpointed, block.forward, block)


def checkpoint_stages(layers: nn.Sequential, ends: list[int]) -> None:
    """The same for the parts of a sequence of layers between successive positions of ``ends``."""
    layers.forward = partial(forward_in_stages, layers, ends)  # type: ignore[method-assign]


def forward_in_stages(layers: nn.Sequential, ends: list[int], x: Tensor) -> Tensor:
    """``layers(x)``, of which the inputs of the stages alone are stored for backward."""
    for start, end in pairwise(ends):
        stage = layers[start:end]
        x = checkpointed(stage, stage, x)
    return x


def checkpointed(forward: Callable[[Tensor], Tensor], block: nn.Module, x: Tensor) -> Tensor:
    """``forward(x)`` of a block, of which only ``x`` is stored for backward."""
    if torch.compiler.is_compiling():  # the compiler writes buffers once
        return checkpoint(forward, x, use_reentrant=False)
    return checkpoint(
        forward, x, use_reentrant=False, context_fn=lambda: (nullcontext(), buffers_kept(block))
    )


@contextmanager
def buffers_kept(block: nn.Module) -> Iterator[None]:
    """The second forward must not move the running statistics of batch norms a second time."""
    kept = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)
