"""Seeds as a function of a run's position, so that randomness does not depend on its history."""

import hashlib

import torch


def derive_seed(*key: int) -> int:
    """A seed below 2**63 from integers such as (seed, epoch, rank), unrelated to near ones."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest()) >> 1


def seed_device(seed: int, device: torch.device) -> None:
    """Seed PyTorch's generators of the CPU and of one device.

    `torch.manual_seed` seeds all devices of all kinds, which takes longer than a small layer.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
