"""The training steps since the last line of the log, kept in checkpoints so that a resumed run logs the same."""

import torch
from torch import Tensor

Window = list[tuple[Tensor, Tensor]]  # of each batch the loss, a scalar, and whether each sample was a hit (N,)


def gather_window(window: Window) -> tuple[Tensor, Tensor] | None:
    """Losses (W, B) and hits (W, B, N) of the B batches of a window on all W processes; None if it is empty."""
    if not window:
        return None
    losses, hits = (torch.stack(part) for part in zip(*window, strict=True))
    return gathered(losses), gathered(hits.to(torch.uint8))


def gathered(x: Tensor) -> Tensor:
    """Tensors (W, ...) of all W processes, on the CPU."""
    parts = [x]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, x)
    return torch.stack(parts).cpu()


def share_of_window(saved: tuple[Tensor, Tensor] | None, rank: int, world_size: int) -> Window:
    """The window that a process goes on with: its own, or that of all if there were more or fewer processes."""
    if saved is None:
        return []
    losses, hits = saved[0], saved[1].bool()
    if len(losses) == world_size:
        return list(zip(losses[rank], hits[rank], strict=True))
    return list(zip(losses.mean(0), hits.transpose(0, 1).flatten(1), strict=True))
