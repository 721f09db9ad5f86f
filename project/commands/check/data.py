"""Checks of the data alone: files, classes, splits, statistics."""

import hashlib
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project import plots
from project.commands.check.card import Card
from project.data import ImageDataModule
from project.data.sampler import TensorImages

MOST = 2000  # images of a split that are read from files, more of which are sampled


def check_data(card: Card, data: ImageDataModule, picture: Path) -> None:
    """Add what is found about the data to the card, and save a picture of augmented images."""
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    train, test = data.train_set, data.test_set
    in_memory = isinstance(train, TensorImages)
    looked_at = {
        name: looked_at_in(split) for name, split in {"train": train, "test": test}.items()
    }
    card.add("files", f"{data.root}: {len(train):,} images for training, {len(test):,} for testing")
    card.add("checksums", data.checksum_status)
    if not in_memory:
        check_readable(card, {"train": train, "test": test}, looked_at)
    check_classes(card, data)
    check_disjoint(card, data, looked_at)
    check_statistics(card, data, looked_at["train"])
    draw_batch(card, data, picture)


def looked_at_in(split: Any) -> Tensor:
    """Indices of the images that are looked at: all in memory, of files a sample, the same each time."""
    if isinstance(split, TensorImages) or len(split) <= MOST:
        return torch.arange(len(split))
    return (
        torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:MOST].sort().values
    )


def check_readable(card: Card, splits: dict[str, Any], looked_at: dict[str, Tensor]) -> None:
    """Decode the files that are looked at, and list those that cannot be."""
    for name, split in splits.items():
        indices, bad = looked_at[name], []
        for i in indices.tolist():
            try:
                split.decode(split.files.read(i))
            except (OSError, ValueError) as error:
                bad.append(f"{split.files.path(i)} ({error})")
                split.unreadable[i] = True
        share = f"{len(bad)} of the {len(indices):,} looked at cannot be read"
        sampled = (
            f", a sample of {len(split):,}; prepare looks at all"
            if len(indices) < len(split)
            else ""
        )
        too_many = len(bad) > split.max_unreadable * len(indices)
        listed = "".join(f"\n{line}" for line in bad[:20]) + (
            f"\nand {len(bad) - 20} more" if len(bad) > 20 else ""
        )
        card.add(f"{name} images", share + sampled + listed, wrong=too_many, note=bool(bad))
        looked_at[name] = indices[~split.unreadable[indices]]


def check_classes(card: Card, data: ImageDataModule) -> None:
    """Counts of the classes in each split."""
    splits = {
        "train": data.train_set.y[data.train_indices],
        "val": data.train_set.y[data.val_indices],
        "test": data.test_set.y,
    }
    counts = {name: y.bincount(minlength=data.num_classes) for name, y in splits.items()}
    train = counts["train"]
    lines = [f"{data.num_classes}; images of each:"]
    shown = (
        plots.evenly_spaced(10, data.num_classes)
        if data.num_classes > 12
        else torch.arange(data.num_classes)
    )
    width = max(len(data.class_names[k][:20]) for k in shown)
    for k in shown.tolist():
        bar = "█" * round(20 * int(train[k]) / max(int(train.max()), 1))
        numbers = " + ".join(str(int(c[k])) for c in counts.values())
        lines.append(f"{data.class_names[k][:20]:{width}} {bar:20} {numbers}")
    rest = data.num_classes - len(shown)
    lines.append(f"({' + '.join(counts)}{f'; {rest} more classes' if rest else ''})")
    empty = [
        f"{name} has none of {data.class_names[k]}"
        for name, c in counts.items()
        for k in (c == 0).nonzero()[:3, 0]
    ]
    uneven = int(train.max()) > 10 * max(int(train.min()), 1)
    lines += empty + (
        ["the largest class has more than ten times the images of the smallest"] if uneven else []
    )
    missing = bool((train == 0).any())
    card.add("classes", "\n".join(lines), wrong=missing, note=bool(empty) or uneven)


def check_disjoint(card: Card, data: ImageDataModule, looked_at: dict[str, Tensor]) -> None:
    """Images that are in more than one split, bit for bit."""
    held_out = set(data.val_indices.tolist())
    hashes: dict[str, dict[bytes, int]] = {"train": {}, "val": {}, "test": {}}
    repeated = 0
    for source, split in (("train", data.train_set), ("test", data.test_set)):
        for i in looked_at[source].tolist():
            name = "val" if source == "train" and i in held_out else source
            content = (
                split.x[i].numpy().tobytes()
                if isinstance(split, TensorImages)
                else split.files.read(i)
            )
            key = hashlib.blake2b(content, digest_size=16).digest()
            repeated += key in hashes[name]
            hashes[name][key] = i
    lines, worst = [], 0.0
    for a, b in itertools.combinations(hashes, 2):
        common = hashes[a].keys() & hashes[b].keys()
        if common:
            pairs = sorted((hashes[a][key], hashes[b][key]) for key in common)
            shown = ", ".join(f"{a} {i} = {b} {j}" for i, j in pairs[:3])
            lines.append(
                f"{len(common)} images of {b} are in {a} too ({shown}{', ...' if len(pairs) > 3 else ''})"
            )
            worst = max(worst, len(common) / len(hashes[b]))
    if repeated:
        lines.append(f"{repeated} images are more than once within a split")
    compared = f"{sum(map(len, looked_at.values())):,} images compared by hash"
    whole = "train, val and test have no image in common"
    lines.insert(0, f"{compared}: {whole if not worst else 'not disjoint'}")
    card.add("splits", "\n".join(lines), wrong=worst > 0.01, note=len(lines) > 1)


def check_statistics(card: Card, data: ImageDataModule, looked_at: Tensor) -> None:
    """Mean and standard deviation of the training images against those that are configured."""
    in_memory = isinstance(data.train_set, TensorImages)
    mean, std = statistics(
        data.train_set,
        looked_at if in_memory else looked_at[plots.evenly_spaced(500, len(looked_at))],
    )
    configured = torch.tensor([data.mean, data.std], dtype=torch.float64)
    worst = float((torch.stack([mean, std]) - configured).abs().max())
    measured = "; ".join(
        f"{k} {' '.join(f'{v:.4f}' for v in values)}"
        for k, values in (("mean", mean), ("std", std))
    )
    fits = worst < (0.0001 if in_memory else 0.05)
    text = (
        f"{measured}, as configured"
        if fits
        else (
            f"{measured}, but configured are {' '.join(map(str, data.mean))}; {' '.join(map(str, data.std))}"
        )
    )
    # A folder of one's own is often normalised by ImageNet's statistics, for published weights.
    card.add("mean and std", text, wrong=not fits and in_memory, note=not fits)


def statistics(split: Any, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,), float64, of the pixels of images, in [0, 1]."""
    total = squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for part in indices.split(500):
        x = split.__getitems__(part)[0].double().div_(255)
        total, squares = total + x.sum((0, 2, 3)), squares + x.square_().sum((0, 2, 3))
        count += x[:, 0].numel()
    mean = total / count
    return mean, (squares / count - mean.square()).sqrt()


def draw_batch(card: Card, data: ImageDataModule, picture: Path) -> None:
    """Save a picture of a batch of training images as the network sees them."""
    x, y = data.train_set.__getitems__(
        next(iter(data.train_batches(min(32, len(data.train_indices)))))
    )
    x, y = data.to_input(*data.transfer_batch_to_device((x, y), torch.device("cpu"), 0), step=0)
    names = [data.class_names[int(k)] for k in (y if y.ndim == 1 else y.argmax(1))]
    transforms = [*data.policies, *data.augment, *([data.mix] if data.mix else [])]
    title = ", ".join(type(t).__name__ for t in transforms) or "no augmentation"
    plots.save(plots.image_grid(data.displayable(x), names, title), picture)
    card.add("picture", f"{picture} shows {len(x)} training images after {title}")
