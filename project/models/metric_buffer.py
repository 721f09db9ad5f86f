"""The training steps since the last line of the log, kept in checkpoints so that a resumed run logs the same."""

import torch
from torch import Tensor

Window = list[
    tuple[Tensor, Tensor]
]  # of each batch the loss, a scalar, and whether each sample was a hit (N,)


Gathered = tuple[Tensor, Tensor, Tensor]


def gather_window(window: Window) -> Gathered | None:
    """Losses (W, B), numbers of hits (W, B) and of samples (W, B) of the B batches of a window on all W processes.

    None if it is empty.
    """
    if not window:
        return None
    losses = torch.stack([loss for loss, _ in window])
    correct = torch.stack([hits.sum() for _, hits in window])
    sizes = torch.tensor([len(hits) for _, hits in window], device=losses.device)
    return gathered(losses), gathered(correct), gathered(sizes)


def gathered(x: Tensor) -> Tensor:
    """Tensors (W, ...) of all W processes, on the CPU."""
    parts = [x]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, x)
    return torch.stack(parts).cpu()


def share_of_window(saved: Gathered | None, rank: int, world_size: int) -> Window:
    """The window of a process that goes on: its own, or all of them as one if the number of processes has changed."""
    if saved is None:
        return []
    if len(saved) == 2:  # earlier versions kept whether each sample was a hit, (W, B, N)
        losses, hits = saved
        saved = (losses, hits.sum(2), torch.full(hits.shape[:2], hits.shape[2]))
    losses, correct, sizes = saved
    if len(losses) == world_size:
        losses, correct, sizes = losses[rank], correct[rank], sizes[rank]
    else:
        losses, correct, sizes = losses.mean(0), correct.sum(0), sizes.sum(0)
    # Which samples the hits were does not matter to their share.
    hits_of = [torch.arange(n) < k for n, k in zip(sizes.tolist(), correct.tolist(), strict=True)]
    return list(zip(losses, hits_of, strict=True))
