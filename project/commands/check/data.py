"""Checks of the data alone: files, images, classes and statistics."""

from pathlib import Path

import torch
from torch import Tensor

from project import plots
from project.commands.check.card import Card
from project.commands.check.classes import check_classes
from project.commands.check.images import check_disjoint, check_readable, sample_of
from project.commands.check.near import check_near
from project.data import ImageDataModule
from project.data.pixel_statistics import statistics
from project.data.sampler import TensorImages


def check_data(card: Card, data: ImageDataModule, picture: Path) -> None:
    """Check the data, and save a figure of augmented images to ``picture``."""
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    train, test = data.train_set, data.test_set
    splits = {"train": train, "test": test}
    sampled = {name: sample_of(split) for name, split in splits.items()}
    images, place = len(data.input_shape) == 3, getattr(data, "path", data.root)
    what = "images" if images else "samples"
    counts = f"{len(train):,} {what} for training, {len(test):,} for testing"
    card.add("files", f"{place}: {counts}")
    card.add("checksums", data.checksum_status)
    if not isinstance(train, TensorImages):
        hashes = check_readable(card, splits, sampled)
        check_near(card, data, sampled, hashes)
    check_classes(card, data)
    check_disjoint(card, data, sampled)
    if images:
        check_statistics(card, data, sampled["train"])
        draw_batch(card, data, picture)
    else:
        check_features(card, data)


def check_statistics(card: Card, data: ImageDataModule, sampled: Tensor) -> None:
    """Compare mean and standard deviation of the training images with the configured ones."""
    in_memory = isinstance(data.train_set, TensorImages)
    if not in_memory:
        sampled = sampled[plots.evenly_spaced(500, len(sampled))]
    mean, std = statistics(data.train_set, sampled)
    configured = torch.tensor([data.mean, data.std], dtype=torch.float64)
    worst = float((torch.stack([mean, std]) - configured).abs().max())
    text = "; ".join(
        f"{name} {' '.join(f'{value:.4f}' for value in values)}"
        for name, values in (("mean", mean), ("std", std))
    )
    matches = worst < (0.0001 if in_memory else 0.05)
    given = "; ".join(" ".join(map(str, values)) for values in (data.mean, data.std))
    text += ", as configured" if matches else f", but configured are {given}"
    # A user's folder is often normalised by ImageNet's statistics, for published weights.
    card.add("mean and std", text, wrong=not matches and in_memory, note=not matches)


def check_features(card: Card, data: ImageDataModule) -> None:
    """Say how many features there are, and name those that are constant."""
    names = getattr(data, "feature_names", range(data.input_shape[0]))
    x = data.train_set.__getitems__(data.train_indices)[0]
    constant = [
        str(name) for name, column in zip(names, x.T, strict=True) if column.unique().numel() == 1
    ]
    text = f"{len(x.T)}, standardised by the {len(x):,} training samples"
    text += f"; constant: {', '.join(constant[:10])}" if constant else ""
    card.add("features", text, note=bool(constant))


def draw_batch(card: Card, data: ImageDataModule, picture: Path) -> None:
    """Save a figure of a batch of training images as the network sees them."""
    rows = next(iter(data.train_batches(min(32, len(data.train_indices)))))
    batch = data.transfer_batch_to_device(data.train_set.__getitems__(rows), torch.device("cpu"), 0)
    x, y = data.to_input(*batch, step=0)
    if y.ndim == 1 and y.is_floating_point():
        names = [f"{value:.4g}" for value in y.tolist()]
    else:
        names = [data.class_names[int(k)] for k in (y if y.ndim == 1 else y.argmax(1))]
    transforms = [*data.policies, *data.augment, *([data.mix] if data.mix else [])]
    crops = ["random crops"] if hasattr(data, "crops") else []
    title = ", ".join([*crops, *(type(t).__name__ for t in transforms)]) or "no augmentation"
    plots.save(plots.image_grid(data.displayable(x), names, title), picture)
    card.add("picture", f"{picture} shows {len(x)} training images after {title}")
