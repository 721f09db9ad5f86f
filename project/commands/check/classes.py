"""Check of the classes: how many images of each a split has."""

import torch

from project import plots
from project.commands.check.card import Card
from project.data import ImageDataModule
from project.data.targets import are_classes


def check_classes(card: Card, data: ImageDataModule) -> None:
    """Count the images of each class or label, and find empty and much larger ones."""
    if data.train_set.y.ndim == 1 and not are_classes(data.train_set.y):
        return  # they are numbers
    splits = {
        "train": data.train_set.y[data.train_indices],
        "val": data.train_set.y[data.val_indices],
        "test": data.test_set.y,
    }
    counts = {
        name: y.bincount(minlength=data.num_classes) if are_classes(y) else y.long().sum(0)
        for name, y in splits.items()
    }
    train, names = counts["train"], data.class_names
    count = 10 if data.num_classes > 12 else data.num_classes
    shown = plots.evenly_spaced(count, data.num_classes).tolist()
    width, most = max(len(names[k][:20]) for k in shown), max(int(train.max()), 1)
    lines = [f"{data.num_classes}; samples of each:"]
    for k in shown:
        bar = "█" * round(20 * int(train[k]) / most)
        numbers = " + ".join(str(int(c[k])) for c in counts.values())
        lines.append(f"{names[k][:20]:{width}} {bar:20} {numbers}")
    rest = data.num_classes - len(shown)
    lines.append(f"({' + '.join(counts)}{f'; {rest} more classes' if rest else ''})")
    empty = [
        f"{name} has none of {names[k]}"
        for name, c in counts.items()
        for k in torch.nonzero(c == 0)[:3, 0]
    ]
    uneven = int(train.max()) > 10 * max(int(train.min()), 1)
    if uneven:
        empty.append("the largest class has more than ten times the samples of the smallest")
    missing = bool((train == 0).any())
    card.add("classes", "\n".join(lines + empty), wrong=missing, note=bool(empty))
