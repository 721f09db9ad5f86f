"""What is said of a folder of images when training begins, and which splits are refused."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from project.data.contents import Contents
from project.data.targets import are_classes
from project.errors import UserError

SAMPLED = 100  # images whose size is looked at


def check_splits(splits: np.ndarray, y: Tensor, names: Sequence[str]) -> None:
    """Raise UserError if a split is empty, or if a class has no image to train on."""
    for split in ("train", "val", "test"):
        if split not in splits:
            raise UserError(
                f"none of the {len(splits)} images is in the {split} set: add images, of which "
                f"more are held out by the hash of their content, or choose those for {split} by "
                "folders or by the column split of --data.labels"
            )
    missing = absent(y[splits == "train"], names) if are_classes(y) else []
    if missing:
        raise UserError(
            f"no image of the class {missing[0]} is left in the train set: add images, or try "
            "another --data.split_seed"
        )


def absent(y: Tensor, names: Sequence[str]) -> list[str]:
    """The classes or labels that no sample has."""
    return [name for name, count in zip(names, counts(y, len(names)), strict=True) if not count]


def counts(y: Tensor, count: int) -> list[int]:
    """Number of samples of each class or label; ``y`` is (N,) or (N, K)."""
    found = y.bincount(minlength=count) if are_classes(y) else y.long().sum(0)
    return list(map(int, found.tolist()))


def summary(
    files: Contents, y: Tensor, splits: np.ndarray, held: Sequence[str], names: Sequence[str]
) -> list[str]:
    """Lines on the classes, the splits, the imbalance and the sizes of the images.

    Args:
        files: The images.
        y: Targets of the images (N,) or (N, K).
        splits: Split of each image (N,).
        held: The splits that were held out of the training images.
        names: Names of the classes or labels.
    """
    parts = ", ".join(
        f"{split} {int((splits == split).sum()):,}" for split in ("train", "val", "test")
    )
    by_hash = f" ({' and '.join(held)} by the hash of the content)" if held else ""
    lines = [f"{len(y):,} images, {parts}{by_hash}"]
    train = y[splits == "train"]
    if y.ndim == 1 and not are_classes(y):
        mean, std = float(train.mean()), float(train.std(correction=0))
        lines.append(
            f"labels from {float(train.min()):.4g} to {float(train.max()):.4g}, mean {mean:.4g}, "
            f"standard deviation {std:.4g}"
        )
    else:
        kind = "classes" if are_classes(y) else "labels"
        found = counts(train, len(names))
        lines.append(f"{len(names)} {kind}, {imbalance(found, names)}")
        for split in ("val", "test"):
            if missing := absent(y[splits == split], names):
                more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
                lines.append(f"{split} has no image of {', '.join(missing[:3])}{more}")
    return [*lines, sizes(files)]


def imbalance(found: Sequence[int], names: Sequence[str]) -> str:
    """The largest and the smallest class or label, by their numbers of training images."""
    most, least = (pick(range(len(found)), key=found.__getitem__) for pick in (max, min))
    if found[most] == found[least]:
        return f"{found[most]:,} training images of each"
    ratio = f", {found[most] / found[least]:.1f} times as many" if found[least] else ""
    return (
        f"{found[least]:,} ({names[least]}) to {found[most]:,} ({names[most]}) training images of "
        f"each{ratio}"
    )


def sizes(files: Contents) -> str:
    """Smallest, median and largest width and height of some images."""
    from PIL import Image

    found = []
    for i in torch.linspace(0, len(files) - 1, min(SAMPLED, len(files))).long().tolist():
        try:
            with Image.open(io.BytesIO(files.read(i))) as image:
                found.append(image.size)
        except (OSError, ValueError, SyntaxError):
            continue
    if not found:
        return "no image could be read"
    smallest, median, largest = (
        "x".join(f"{value:.0f}" for value in pick(np.array(found), axis=0))
        for pick in (np.min, np.median, np.max)
    )
    if smallest == largest:
        return f"{smallest} pixels, as {len(found)} images show"
    return f"{smallest} to {largest} pixels, median {median}, of {len(found)} images"
