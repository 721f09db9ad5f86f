"""Base of datasets whose classes come from the image files, with a cache of small copies."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from project.data.contents import Files
from project.data.image_files import ImageFiles
from project.data.prepared import Format, Prepared
from project.data.shards import Shards, prepare
from project.errors import UserError

log = logging.getLogger(__name__)


class CachedFiles(ImageFiles):
    """Image files below ``root``; a subclass finds them and their classes.

    Args:
        cache: Read images of this short side, which ``python -m project prepare``
            made; None for the original ones.
        cache_url: Address of a folder that ``prepare`` wrote, such as
            ``s3://bucket/prepared-256``; its files are copied into ``root`` when they are first
            needed. None for a cache that is there.
        classes: Names of the classes in order; None to find them in ``root``.
    """

    sources: Sequence[str]  # the parts of the cache
    classes: list[str]

    def __init__(
        self,
        cache: int | None = None,
        cache_url: str | None = None,
        classes: list[str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if cache_url and cache is None:
            raise UserError(
                "--data.cache_url needs the short side of its images: give --data.cache too"
            )
        if cache is not None and cache < 1:
            raise UserError(f"cache {cache} must be a positive number of pixels")
        if cache is not None and self.resize is not None and cache < self.resize:
            raise UserError(
                f"--data.cache {cache} is less than the short side of {self.resize} pixels that "
                f"evaluation needs (--data.resize): prepare a cache of at least {self.resize}"
            )
        self.cache, self.cache_url, self.given_classes = cache, cache_url, classes

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {"classes": self.classes}

    @property
    def cache_folder(self) -> Path:
        return self.root / f"prepared-{self.cache}"

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.cache is not None and self.resize is not None and stage != "predict":
            log.info(
                f"images come from the cache of {self.cache} pixels, resized by prepare (bilinear, "
                f"JPEG) before evaluation resizes them to {self.resize}: for the exact pixels "
                "evaluate with --data.cache null"
            )

    def setup_classes(self) -> None:
        """Find the classes, and set ``classes``, ``num_classes`` and ``class_names``."""
        raise NotImplementedError

    def originals(self, source: str) -> Files:
        """The image files of a source."""
        raise NotImplementedError

    def prepared(self, source: str) -> Prepared:
        """The images of a source in the cache."""
        return Prepared(self.cache_folder, source, self.cache_url)

    def prepare_cache(self, format: Format = "jpegs") -> Iterator[tuple[str, int, int, list[str]]]:
        """Make the cache of ``python -m project prepare``.

        Args:
            format: How its files are packed: bare JPEGs, or tar files after WebDataset.

        Yields:
            The source, the numbers of images done and in all, and what is said of unreadable ones.
        """
        if self.cache is None:
            raise UserError(
                "prepare makes images of a short side in pixels: give it, such as --data.cache 256"
            )
        self.setup_classes()
        for source in self.sources:
            done, files = 0, self.originals(source)
            shards = Shards(self.cache_folder, source, files, self.cache, self.classes, format)
            for index in prepare(shards, self.num_workers):
                done += len(index["names"]) + len(index["unreadable"])
                yield source, done, len(files), index["unreadable"]
