"""`python -m project prepare`: make a cache of resized images, once."""

import sys
from typing import TYPE_CHECKING

from project.cli.machine import adapt_workers
from project.data import ImageDataModule, ImageNet
from project.errors import UserError

if TYPE_CHECKING:
    from project.cli.main import CLI


def run(cli: "CLI") -> None:
    """Make the cache of the configured dataset."""
    cli.build(pretrained=False)  # the model is not used
    if cli.config.adapt_to_machine:
        adapt_workers(cli.datamodule, devices=1)
    prepare(cli.datamodule)


def prepare(data: ImageDataModule) -> None:
    """Make the cache that ``--data.cache`` names, with a progress bar, and say what could not be read.

    Raises:
        UserError: The dataset has none, or too many images cannot be read.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if not isinstance(data, ImageNet):
        raise UserError(f"{type(data).__name__} is held in memory: there is nothing to prepare")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console, unreadable, counts = Console(stderr=True), [], {}
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        tasks = {split: progress.add_task(split, total=None) for split in ("train", "val")}
        for split, done, total, bad in data.prepare_cache():
            progress.update(tasks[split], completed=done, total=total)
            unreadable += bad
            counts[split] = total
    for message in unreadable:
        print(f"skipped: {message}", file=sys.stderr)
    if len(unreadable) > data.max_unreadable * sum(counts.values()):
        raise UserError(
            f"{len(unreadable)} of {sum(counts.values())} images cannot be read: mend them"
        )
    made = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    print(f"prepared {made} images in {data.cache_folder}: use them with --data.cache {data.cache}")
