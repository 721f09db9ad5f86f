"""Your own photographs, in a folder for each class or with a CSV file of labels."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from project.data.cached_files import CachedFiles
from project.data.content_split import content_hashes, hold_out
from project.data.contents import Files, Selection
from project.data.encoded_images import EncodedImages
from project.data.folder_summary import check_splits, summary
from project.data.folders import find_images, folder_classes
from project.data.labels import (
    Target,
    check_files,
    find_labels,
    label_names,
    label_targets,
    read_labels,
)
from project.data.layout import (
    SOURCE,
    class_names,
    find_class_names,
    split_folders,
    split_of,
    splits_of,
)
from project.data.prepared import Prepared
from project.data.splits import check_fold
from project.errors import UserError, printable

log = logging.getLogger(__name__)


class ImageFolder(CachedFiles):
    """Photographs in ``root/<class>/*`` or ``root/train/<class>/*``, or listed in a CSV file.

    Folders ``train``, ``val`` and ``test``, or a column ``split``, are used as they are called.
    Missing validation and test sets are held out of training, by the hash of each file's content.

    Args:
        labels: CSV file with the columns ``file``, relative to ``root``, and ``label``, and
            perhaps ``split``. None for a folder for each class.
        target: What a label is: a class, any number of labels with ``|`` between them for the
            objective ``MultiLabel``, or a number for ``Regression``.
        test_size: Fraction of the training images that is held out as test set, where there is
            none. ``val_size`` is that of the rest.
    """

    sources = (SOURCE,)

    def __init__(
        self,
        labels: str | None = None,
        target: Target = "class",
        test_size: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        for name, size in (("val_size", self.val_size), ("test_size", test_size)):
            if not 0 < size < 1:
                raise UserError(f"--data.{name} {size} must be a fraction between 0 and 1")
        self.target, self.test_size = target, test_size
        self.labels = find_labels(labels, self.root, target)
        self.setup_classes()

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        root, target = Path(arguments["root"]), arguments["target"]
        labels = find_labels(arguments["labels"], root, target)
        cache = arguments["cache"], arguments["cache_url"]
        names = arguments["classes"] or find_names(root, labels, target, *cache)
        side = arguments["image_size"] or cls.input_shape[1]
        return len(names), (3, side, side)

    @property
    def checksum_status(self) -> str:
        return "none are published for folders"

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {**super().resolved_args, "labels": self.labels and str(self.labels)}

    def setup_classes(self) -> None:
        names = (self.root, self.labels, self.target, self.cache, self.cache_url)
        self.classes = self.given_classes or find_names(*names)
        self.num_classes, self.class_names = len(self.classes), self.classes

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            for line in summary(self.files, self.y, self.splits, self.held, self.class_names):
                log.info(printable(f"data: {line}"))
            if self.fraction < 1:
                log.info(f"data: training on {len(self.train_indices):,} of them")

    def load(self, train: bool) -> EncodedImages:
        if not hasattr(self, "splits"):
            self.find_samples()
        rows = np.flatnonzero((self.splits != "test") == train)
        files = Selection(self.files, rows)
        return EncodedImages(files, self.y[rows], self.crops, self.max_unreadable)

    def held_out(self, y: Tensor) -> tuple[Tensor, Tensor]:
        val = torch.from_numpy(self.splits[self.splits != "test"] == "val")
        return torch.nonzero(~val)[:, 0], torch.nonzero(val)[:, 0]

    def originals(self, source: str) -> Files:
        if self.labels:
            rows = read_labels(self.labels)
            check_files(rows, self.root)
            return Files(self.root, np.array([os.fsencode(row.file) for row in rows]))
        folders: list[str] = []
        for split in split_folders(self.root) or [""]:
            names = class_names(self.root / split)
            if unknown := {*names} - {*self.classes}:
                raise UserError(
                    f"{self.root / split} has the class {min(unknown)}, which is not among "
                    "those of training: move its images, or begin a new run"
                )
            every = split_of(split) in (None, "train")  # other splits may lack a rare class
            folders += [os.path.join(split, name) for name in (self.classes if every else names)]
        return Files(self.root, find_images(self.root, folders))

    def find_samples(self) -> None:
        """Set the files, with their targets and splits, and hold out the splits that are missing.

        Fewer than all files may be in the cache, because some could not be read.
        """
        self.files: Files | Prepared = (
            self.originals(SOURCE) if self.cache is None else self.prepared(SOURCE)
        )
        names = self.files.names
        if self.labels:
            listed = {os.fsencode(row.file): row for row in read_labels(self.labels)}
            if old := {*names.tolist()} - listed.keys():
                raise UserError(
                    f"{self.cache_folder} has {os.fsdecode(min(old))}, which {self.labels} does "
                    "not list: run python -m project prepare again"
                )
            rows = [listed[name] for name in names.tolist()]
            self.y = label_targets(rows, self.target, self.classes)
            self.splits = np.array([row.split for row in rows])
        else:
            self.splits, depth = splits_of(names)
            self.y = folder_classes(names, self.classes, depth)
        self.held = [split for split in ("val", "test") if split not in self.splits]
        if self.num_folds and "val" not in self.held:
            raise UserError("the validation images are given: leave out --data.num_folds")
        if self.held:
            hashes = getattr(self.files, "hashes", None) or content_hashes(self.files)
            sizes = {"test": (0.0, self.test_size), "val": self.val_range(len(hashes))}
            hold_out(self.splits, hashes, self.split_seed, {k: sizes[k] for k in self.held})
        check_splits(self.splits, self.y, self.class_names)

    def val_range(self, count: int) -> tuple[float, float]:
        """The positions in [0, 1) of the images that are held out for validation."""
        if self.num_folds is None:
            return 0.0, float(self.val_size)
        fold = self.fold or 0
        check_fold(fold, self.num_folds, count)
        return fold / self.num_folds, (fold + 1) / self.num_folds


def find_names(root: Path, labels: Path | None, target: Target, *cache: Any) -> list[str]:
    """Names of the network's outputs, from the CSV file, the folders, or the cache and its URL."""
    return label_names(read_labels(labels), target) if labels else find_class_names(root, *cache)
