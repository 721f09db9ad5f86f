"""Checks of the images: which files cannot be read, and which images are in several splits."""

import hashlib
import itertools
from typing import Any

import torch
from torch import Tensor

from project.commands.check.card import Card
from project.commands.check.near import difference_hash
from project.data import ImageDataModule
from project.data.sampler import TensorImages

MOST = 2000  # greatest number of images that are read from the files of a split


def sample_of(split: Any) -> Tensor:
    """Indices of the images to look at: all in memory, and up to MOST of files, always the same."""
    if isinstance(split, TensorImages) or len(split) <= MOST:
        return torch.arange(len(split))
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(len(split), generator=generator)[:MOST].sort().values


def check_readable(
    card: Card, splits: dict[str, Any], sampled: dict[str, Tensor]
) -> dict[str, list[int]]:
    """Decode the sampled files, and list those that cannot be read and leave ``sampled``.

    Returns:
        For each split the difference hashes of the others.
    """
    hashes: dict[str, list[int]] = {name: [] for name in splits}
    for name, split in splits.items():
        indices, bad = sampled[name], []
        for i in indices.tolist():
            try:
                hashes[name].append(difference_hash(split.decode(split.files.read(i))))
            except (OSError, ValueError) as error:
                bad.append(f"{split.files.path(i)} ({error})")
                split.unreadable[i] = True
        text = f"{len(bad)} of the {len(indices):,} looked at cannot be read"
        if len(indices) < len(split):
            text += f", a sample of {len(split):,}; prepare looks at all"
        text += "".join(f"\n{line}" for line in bad[:20])
        if len(bad) > 20:
            text += f"\nand {len(bad) - 20} more"
        too_many = len(bad) > split.max_unreadable * len(indices)
        card.add(f"{name} images", text, wrong=too_many, note=bool(bad))
        sampled[name] = indices[~split.unreadable[indices]]
    return hashes


def check_disjoint(card: Card, data: ImageDataModule, sampled: dict[str, Tensor]) -> None:
    """Find images that are in several splits, bit for bit."""
    hashes, repeated = hash_splits(data, sampled)
    lines, worst = [], 0.0
    for a, b in itertools.combinations(hashes, 2):
        common = hashes[a].keys() & hashes[b].keys()
        if common:
            pairs = sorted((hashes[a][key], hashes[b][key]) for key in common)
            shown = ", ".join(f"{a} {i} = {b} {j}" for i, j in pairs[:3])
            rest = ", ..." if len(pairs) > 3 else ""
            lines.append(f"{len(common)} samples of {b} are in {a} too ({shown}{rest})")
            worst = max(worst, len(common) / len(hashes[b]))
    if repeated:
        lines.append(f"{repeated} samples are more than once within a split")
    compared = f"{sum(map(len, sampled.values())):,} samples compared by hash"
    whole = "train, val and test have no sample in common"
    lines.insert(0, f"{compared}: {'not disjoint' if worst else whole}")
    images = len(data.input_shape) == 3  # two samples of few features may well be the same
    card.add("splits", "\n".join(lines), wrong=worst > 0.01 and images, note=len(lines) > 1)


def hash_splits(
    data: ImageDataModule, sampled: dict[str, Tensor]
) -> tuple[dict[str, dict[bytes, int]], int]:
    """For each split an image's index by its hash, and how many images repeat another of theirs."""
    held_out = set(data.val_indices.tolist())
    hashes: dict[str, dict[bytes, int]] = {"train": {}, "val": {}, "test": {}}
    repeated = 0
    for source, split in (("train", data.train_set), ("test", data.test_set)):
        in_memory = isinstance(split, TensorImages)
        for i in sampled[source].tolist():
            content = split.x[i].numpy().tobytes() if in_memory else split.files.read(i)
            key = hashlib.blake2b(content, digest_size=16).digest()
            found = hashes["val" if source == "train" and i in held_out else source]
            repeated += key in found
            found[key] = i
    return hashes, repeated
