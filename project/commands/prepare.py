"""`python -m project prepare`: make a cache of resized images, once."""

import sys
from typing import TYPE_CHECKING, Any, Literal

from project.cli.machine import adapt_workers
from project.data import ImageDataModule
from project.data.prepared import Format
from project.errors import UserError

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--format``."""
    parser.add_argument(
        "--format",
        type=Literal["jpegs", "webdataset"],
        default="jpegs",
        help="How the files are packed: bare JPEGs, or tar files that other programs read too.",
    )


def run(cli: "CLI") -> None:
    """Make the cache of the configured dataset."""
    cli.build(pretrained=False)  # the model is not used
    if cli.config.adapt_to_machine:
        adapt_workers(cli.datamodule, devices=1)
    prepare(cli.datamodule, cli.config.format)


def prepare(data: ImageDataModule, format: Format) -> None:
    """Make the cache that ``--data.cache`` names, with a progress bar, and list unreadable images.

    Raises:
        UserError: The dataset has no cache, or too many images cannot be read.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    if not hasattr(data, "prepare_cache"):
        raise UserError(f"{type(data).__name__} is held in memory: there is nothing to prepare")
    cached: Any = data
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console, unreadable, counts = Console(stderr=True), [], {}
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        tasks = {split: progress.add_task(split, total=None) for split in cached.sources}
        for split, done, total, bad in cached.prepare_cache(format):
            progress.update(tasks[split], completed=done, total=total)
            unreadable += bad
            counts[split] = total
    for message in unreadable:
        print(f"skipped: {message}", file=sys.stderr)
    total = sum(counts.values())
    if len(unreadable) > cached.max_unreadable * total:
        raise UserError(f"{len(unreadable)} of {total} images cannot be read: fix them")
    made = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    use = f"use them with --data.cache {cached.cache}"
    print(f"prepared {made} images in {cached.cache_folder}: {use}")
