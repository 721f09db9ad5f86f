"""Values of the training steps since the last line of the log."""

from typing import Any

import torch
from torch import Tensor


class MetricBuffer:
    """Collects values on the device, by name, without waiting for it.

    Checkpoints keep the buffer, so that a resumed run logs the same means as an uninterrupted one.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = {}

    def __bool__(self) -> bool:
        return bool(self.values)

    def append(self, values: dict[str, Tensor]) -> None:
        """Add a value for the batch (a scalar) or for each of its samples (N,) under each name."""
        for name, value in values.items():
            self.values.setdefault(name, []).append(value.detach().reshape(-1))

    def joined(self) -> dict[str, Tensor]:
        """All values of each name, in the order in which they came."""
        return {name: torch.cat(parts) for name, parts in self.values.items()}

    def state(self) -> dict[str, Tensor] | None:
        """Values (W, M) of all W processes, on the CPU; None if there are none."""
        return {name: gather(x) for name, x in self.joined().items()} or None

    def load(self, state: Any, rank: int, world_size: int, device: torch.device) -> None:
        """Take this process's values from a checkpoint.

        If the number of processes has changed, each takes all values: their mean is the same.
        """
        self.values = {}
        for name, x in from_earlier_version(state or {}).items():
            values = x[rank] if len(x) == world_size else x.flatten()
            self.values[name] = [values.to(device)]


def gather(x: Tensor) -> Tensor:
    """Tensors (W, ...) of all W processes, on the CPU."""
    parts = [x]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, x)
    return torch.stack(parts).cpu()


def from_earlier_version(state: Any) -> dict[str, Tensor]:
    """The state as it is now, from (losses, numbers correct, batch sizes), each (W, B)."""
    if isinstance(state, dict):
        return state
    losses, correct, *sizes = state
    if not sizes:  # earlier still: whether each sample was correct (W, B, N)
        return {"loss": losses, "acc": correct.flatten(1)}
    rows = [
        torch.cat([torch.arange(n) < k for k, n in zip(ks, ns, strict=True)])
        for ks, ns in zip(correct.tolist(), sizes[0].tolist(), strict=True)
    ]
    return {"loss": losses, "acc": torch.stack(rows)}
