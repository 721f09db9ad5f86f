"""Check for near-duplicates: images that look alike, such as copies in another size or quality."""

import os

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from project.commands.check.card import Card
from project.data import ImageDataModule

# Bits of 64 that may differ. Among 2,200 photographs of Imagenette one pair of 2.4 million is that
# near by chance, and so are 94 to 99 of 100 copies that are brighter, halved or compressed more.
NEAR = 4
SHOWN = 10  # pairs


def difference_hash(image: Tensor) -> int:
    """64 bits that say where an image becomes brighter from left to right (Krawetz, 2013).

    Args:
        image: uint8 (C, H, W), of which 8 x 9 grey pixels are compared with their neighbours.
    """
    grey = image.float().mean(0)[None, None]
    small = F.interpolate(grey, (8, 9), mode="bilinear", antialias=True)[0, 0]
    brighter = (small[:, 1:] > small[:, :-1]).flatten().numpy()
    return int.from_bytes(np.packbits(brighter).tobytes())


def check_near(
    card: Card, data: ImageDataModule, sampled: dict[str, Tensor], hashes: dict[str, list[int]]
) -> None:
    """List pairs of the sampled files that look alike, those in different splits first."""
    held_out = set(data.val_indices.tolist())
    names = []
    for source, split in (("train", data.train_set), ("test", data.test_set)):
        for i in sampled[source].tolist():
            place = "val" if source == "train" and i in held_out else source
            names.append((place, os.path.relpath(split.files.path(i), data.root)))
    pairs = near_pairs(np.array(hashes["train"] + hashes["test"], dtype=np.uint64))
    pairs.sort(key=lambda pair: (names[pair[1]][0] == names[pair[2]][0], pair[0]))
    across = sum(names[i][0] != names[j][0] for _, i, j in pairs)
    text = f"{len(pairs)} pairs of {len(names):,} images look alike, {across} across splits "
    text += f"(at most {NEAR} of 64 bits of their difference hash differ)"
    for distance, i, j in pairs[:SHOWN]:
        text += f"\n{distance} bits: " + " = ".join(f"{names[k][0]} {names[k][1]}" for k in (i, j))
    card.add("near-duplicates", text, note=bool(pairs))


def near_pairs(hashes: np.ndarray) -> list[tuple[int, int, int]]:
    """Distance and indices of the pairs of hashes (N,) that are near."""
    pairs = []
    for i in range(len(hashes)):
        distances = np.bitwise_count(hashes[i + 1 :] ^ hashes[i])
        for j in np.flatnonzero(distances <= NEAR).tolist():
            pairs.append((int(distances[j]), i, i + 1 + j))
    return pairs
