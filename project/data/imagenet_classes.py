"""Classes of ImageNet, or of a folder like it: where they are found and how they are named."""

import re
from pathlib import Path

from project.data.archives import has_archive
from project.data.folders import class_folders
from project.data.prepared import Prepared
from project.errors import UserError


def cached_classes(root: Path, cache: int | None, url: str | None) -> list[str]:
    """Names of the class folders of a cache in order; empty without one."""
    folder = root / f"prepared-{cache}"
    found = cache is not None and (url or folder.exists())
    return Prepared(folder, "train", url).class_folders() if found else []


def find_classes(root: Path, cache: int | None, url: str | None) -> list[str]:
    """Names of the class folders in order; empty while they are in the official archive.

    Raises:
        UserError: There are no class folders.
    """
    if root.is_file():
        raise UserError(
            f"{root} is a file: unpack it, and give --data.root the folder that holds train/ and "
            "val/"
        )
    folder = root / "train"
    if names := class_folders(folder) or cached_classes(root, cache, url):
        return names
    if has_archive(root, "train"):
        return []
    packed = [path.name for path in root.glob("train.*") if path.is_file()]
    hint = "give --data.root a folder with train/ and val/"
    if packed:
        hint = f"unpack {packed[0]} there"
    raise UserError(f"{folder} holds no folder for each class: {hint}")


def check_same_classes(folder: Path, names: list[str], classes: list[str]) -> None:
    """Raise UserError if the class folders ``names`` of a split are not the run's classes."""
    if mismatched := sorted(set(names) ^ set(classes)):
        first = mismatched[0]
        where = f"{folder} lacks" if first in classes else f"only {folder} has"
        raise UserError(
            f"the splits have different classes: {where} {first} ({len(mismatched)} differ)"
        )


def class_words(root: Path, wnids: list[str]) -> list[str]:
    """English names of classes with the given WordNet IDs; an unknown ID stays as it is.

    The names come from Kaggle's ``LOC_synset_mapping.txt`` in ``root``, or else from the official
    devkit, or else from torchvision if all of ImageNet's classes are there.
    """
    from torchvision.datasets import imagenet
    from torchvision.models import ResNet18_Weights

    categories = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    kaggle, known = root / "LOC_synset_mapping.txt", {}
    if kaggle.is_file():
        lines = [line.partition(" ") for line in kaggle.read_text(encoding="utf-8").splitlines()]
        known = {wnid: words.split(",")[0] for wnid, _, words in lines}
    elif (root / imagenet.META_FILE).is_file():
        known = {wnid: words[0] for wnid, words in imagenet.load_meta_file(root)[0].items()}
    elif len(wnids) == len(categories) and all(re.fullmatch(r"n\d{8}", wnid) for wnid in wnids):
        known = dict(zip(wnids, categories, strict=True))
    return [known.get(wnid, wnid) for wnid in wnids]
