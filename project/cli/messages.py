"""Errors of the user, said on one line: what was wrong and what to do."""

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import CheckpointIO, ClusterEnvironment, LayerSync, Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy

from project.callbacks import LastCheckpoint
from project.cli.replaced import CLASS_KEYS
from project.data import ImageDataModule
from project.data.transforms.augment import Augmentation
from project.data.transforms.mix import Mix
from project.errors import UserError
from project.loggers.wandb import WandB
from project.models import Objective, Task
from project.optim import Schedule

# By the last part of a key, the base classes of what it takes.
BASES: dict[str, tuple[type, ...]] = {
    "model": (Task,),
    "data": (ImageDataModule,),
    "optimizer": (torch.optim.Optimizer,),
    "base_optimizer": (torch.optim.Optimizer,),
    "lr_schedule": (Schedule,),
    "objective": (Objective,),
    "augment": (Augmentation,),
    "mix": (Mix,),
    "callbacks": (Callback,),
    "logger": (Logger,),
    "profiler": (Profiler,),
    "strategy": (Strategy,),
    "plugins": (Precision, ClusterEnvironment, CheckpointIO, LayerSync),
}
# Keys that have further keys below them, which are the arguments of one class.
GROUPS = {
    "trainer": Trainer,
    "model_checkpoint": ModelCheckpoint,
    "last_checkpoint": LastCheckpoint,
    "wandb": WandB,
}
KEYS = ("model", "data", "objective", "optimizer", "lr_schedule", *GROUPS, "seed_everything", "run")
# Keys that not all commands have.
OWN_KEYS = {
    "find": "fit takes",
    "checkpoint": "validate, test, predict and export take",
    "images": "predict and export take",
    "format": "export takes",
    "output": "export takes",
    "input_shape": "describe takes",
    "num_classes": "describe takes",
}
# What jsonargparse says of a logger besides what is wrong with it, because it may also be several
# or a bool.
NOT_A_LOGGER = (
    r"<class '(?:collections\.abc\.Iterable|bool)'>"
    r"|valid subclass of Logger|^a (?:class path|dict) "
)
# What it says of an optimiser because names mean ours first.
NOT_OURS = (
    r"Does not validate against any of the Union subtypes Subtypes: \[collections\.abc\.Callable"
    r".*?a subclass of Muon \| SAM\..*? callable class: "
)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, and jsonargparse's without all the types it tried."""
    text = str(error) or type(error).__name__
    if "Original Traceback" in text:  # out of a DataLoader's worker, with the message last
        text = text.strip().splitlines()[-1].partition(": ")[2]
    raw = text = re.sub(NOT_OURS, "", " ".join(text.split()))
    if "No module named 'schedulefree'" in text:
        return 'schedulefree is not installed: pip install -e ".[optim]"'
    if isinstance(error, UserError):
        return text
    keys = dict.fromkeys(re.findall(r'Parser key "([\w.]+)":', text))
    where = ".".join(keys)
    unknown = re.search(r"Expected a dot import path string: (\w+)", text)
    if unknown and classes(where):  # whatever else the key takes
        return f"{where}: there is no class {unknown[1]}" + meant(
            unknown[1], [c.__name__ for c in classes(where)]
        )
    if "Errors: - " in text:
        text = text.partition("Errors: - ")[2]
    text = re.sub(r" Given value type: .* Given value: ", ". Got value: ", text)
    text, _, value = text.partition(". Got value: ")
    parts = dict.fromkeys(part for part in text.split(" - ") if "NoneType" not in part)
    if "Iterable[lightning" in raw:
        parts = dict.fromkeys(part for part in parts if not re.search(NOT_A_LOGGER, part)) or parts
    text = " or ".join([part for part in parts if "import path" not in part] or parts)
    frames = (
        r'Parser key "[\w.]+":|expects a function or a callable class:'
        r"|Problem with given class_path '[\w.]+':"
    )
    text = re.sub(rf".*(?:{frames}) ", "", text)
    text = re.sub(r"Expected an? <class '(\w+)'>", r"expected \1", text)
    text = re.sub(r"Expected an? typing\.Literal\[(.*?)\]", r"expected one of \1", text)
    text = re.sub(r"(?<=required: ).*", lambda names: re.sub(r"\b\w+\.(?=\w)", "", names[0]), text)
    key = f"{where}." if where else ""
    if missing := re.search(r"the following arguments are required: (\w+)", text):
        flag = where or missing[1] in CLASS_KEYS  # else a word that follows the command
        how = f"give --{key}{missing[1]}" if flag else "--help shows where it stands"
        text = text.replace(missing[0], f"{missing[1]} has no default: {how}")
    value = (
        f", not {value}" if text.startswith("expected") and re.fullmatch(r"[^\s()]+", value) else ""
    )
    if option := re.search(r"Option '\w+' is not accepted", raw):
        text, value = option[0] + nearest_argument(where, raw), ""
    return (f"{where}: " if where else "") + text + value + nearest_key(text)


def nearest_key(text: str) -> str:
    """The key that may have been meant instead of one that does not exist."""
    key = re.search(
        r"(?:accept option '|unrecognized arguments: --)(?:(\w+)\.)?([\w.]+)",
        re.sub(r"Group '([\w.]+)' does not accept option '", r"accept option '\1.", text),
    )
    if not key:
        return ""
    if key[2] in OWN_KEYS:
        return f"; only {OWN_KEYS[key[2]]} it"
    if key[1] in GROUPS:
        return meant(key[2], list(inspect.signature(GROUPS[key[1]]).parameters), f"{key[1]}.")
    return meant(key[1] or key[2], KEYS)


def nearest_argument(where: str, raw: str) -> str:
    """The class at key ``where`` that lacks an argument, and which argument may have been meant."""
    before, word, after = re.split(r"Option '(\w+)' is not accepted", raw, maxsplit=1)
    path = r"class_path(?:=| )'[\w.]*?(\w+)'"
    named = [*re.findall(path, before)[-1:], *re.findall(path, after)][:1]
    parents = [parent for c in classes(where) if [c.__name__] == named for parent in c.__mro__]
    arguments = [name for parent in parents for name in inspect.signature(parent).parameters]
    return f" by {named[0]}" + meant(word, arguments) if named else ""


def classes(where: str) -> list[type]:
    """The imported classes that fit a key; none for a key that takes no class."""
    return [c for base in BASES.get(where.rpartition(".")[2], ()) for c in subclasses(base)]


def meant(word: str, known: Iterable[str], prefix: str = "") -> str:
    """The known name nearest to ``word`` in any case, as a question; '' if none is near."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), names, n=1)
    return f"; did you mean {prefix}{names[close[0]]}?" if close else ""


def subclasses(base: type) -> list[type]:
    """All classes below ``base`` that have been imported."""
    children: list[type] = base.__subclasses__()
    return children + [found for child in children for found in subclasses(child)]
