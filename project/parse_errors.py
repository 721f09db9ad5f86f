"""Errors of the user, said on one line: what was wrong and what to do."""

import inspect
import re
from difflib import get_close_matches

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger

from project.data import ImageDataModule
from project.data.augment import Augmentation
from project.data.mix import Mix
from project.models import ImageClassifier
from project.optim import Schedule

BASES = (ImageClassifier, ImageDataModule, torch.optim.Optimizer, Schedule, Augmentation, Mix, Logger)
KEYS = ("model", "data", "optimizer", "lr_schedule", "trainer", "model_checkpoint", "wandb", "seed_everything", "run")
# What jsonargparse says of a logger besides what is wrong with it, because it may also be several or a bool.
NOT_A_LOGGER = r"<class '(?:collections\.abc\.Iterable|bool)'>|valid subclass of Logger|^a (?:class path|dict) "


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, and of jsonargparse's without all the types that it tried."""
    text = str(error) or type(error).__name__
    if "Original Traceback" in text:  # out of a DataLoader's worker, with the message last
        text = text.strip().splitlines()[-1].partition(": ")[2]
    raw = text = " ".join(text.split())
    keys = dict.fromkeys(re.findall(r'Parser key "([\w.]+)":', text))
    if "Errors: - " in text:
        text = text.partition("Errors: - ")[2]
    text = re.sub(r" Given value type: .* Given value: ", ". Got value: ", text)
    text, _, value = text.partition(". Got value: ")
    parts = dict.fromkeys(part for part in text.split(" - ") if "NoneType" not in part)
    if "Iterable[lightning" in raw:
        parts = dict.fromkeys(part for part in parts if not re.search(NOT_A_LOGGER, part)) or parts
    text = " or ".join([part for part in parts if "import path" not in part] or parts)
    frames = r"""Parser key "[\w.]+":|expects a function or a callable class:|Problem with given class_path '[\w.]+':"""
    text = re.sub(rf".*(?:{frames}) ", "", text)
    text = re.sub(r"Expected an? <class '(\w+)'>", r"expected \1", text)
    text = re.sub(r"Expected an? typing\.Literal\[(.*?)\]", r"expected one of \1", text)
    text = re.sub(r".*Expected a dot import path string: (\w+).*", r"there is no class \1", text)
    where = ".".join(keys)
    text = re.sub(r"the following arguments are required: (\w+)", rf"\1 has no default: give --{where}.\1", text)
    value = f", not {value}" if text.startswith("expected") and re.fullmatch(r"[^\s()]+", value) else ""
    return (f"{where}: " if where else "") + text + value + suggestion(text, raw)


def suggestion(text: str, raw: str) -> str:
    """What may have been meant instead of an unknown class, argument or key."""
    if name := re.match(r"there is no class (\w+)$", text):
        return meant(name[1], [c.__name__ for base in BASES for c in subclasses(base)])
    if key := re.search(r"does not accept option '([\w.]+)'|unrecognized arguments: --([\w.]+)", text):
        known = [*KEYS, *(f"trainer.{name}" for name in inspect.signature(Trainer).parameters)]
        return meant(key[1] or key[2], known)
    option = re.search(r"Option '(\w+)' is not accepted", text)
    class_path = re.search(r"class_path(?:=| )'([\w.]+)'", raw)
    if option and class_path:
        named = class_path[1].rsplit(".", 1)[-1]
        found = [c for base in BASES for c in subclasses(base) if c.__name__ == named]
        return f" by {named}" + meant(
            option[1], [name for c in found for parent in c.__mro__ for name in inspect.signature(parent).parameters]
        )
    return ""


def meant(word: str, known: list[str]) -> str:
    """The known name nearest to ``word``, as a question; '' if none is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def subclasses(base: type) -> list[type]:
    """All classes below ``base`` that have been imported."""
    children: list[type] = base.__subclasses__()
    return children + [found for child in children for found in subclasses(child)]
