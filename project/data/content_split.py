"""Which files are held out, by the hash of their content: adding files moves none of the others.

Copies of a file have the same hash, so that they are never in different splits. A seeded
permutation as in `splits` would move most files whenever one is added.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from project.data.contents import Contents
from project.run.seeds import derive_seed


def content_hash(data: bytes) -> int:
    """A hash of 64 bits of a file's content."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def content_hashes(files: Contents) -> list[int]:
    """The hash of each file; a file that cannot be opened counts as empty."""

    def hashed(index: int) -> int:
        try:
            return content_hash(files.read(index))
        except OSError:
            return content_hash(b"")

    with ThreadPoolExecutor() as pool:
        return list(pool.map(hashed, range(len(files))))


def positions(hashes: Sequence[int], *key: int) -> np.ndarray:
    """A position in [0, 1) for each hash, evenly distributed, and unrelated to those of other keys.

    A tenth of the files, for instance, are those with a position below 0.1.
    """
    return np.array([derive_seed(value, *key) for value in hashes]) / 2**63


def hold_out(
    splits: np.ndarray,
    hashes: Sequence[int],
    seed: int,
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Move training files to the splits that are missing.

    Args:
        splits: Split of each file (N,), which is changed.
        hashes: Hash of each file's content.
        seed: Seed of the choice.
        ranges: For each missing split the positions of its files, from one on and below another.
    """
    for key, split in enumerate(("test", "val")):
        if split in ranges:
            (low, high), position = ranges[split], positions(hashes, seed, key)
            splits[(splits == "train") & (low <= position) & (position < high)] = split
