"""What may have been meant by a name that does not exist: a key, an argument or a class."""

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
    "table": "predict takes",
    "format": "export takes",
    "output": "export takes",
    "input_shape": "describe takes",
    "num_classes": "describe takes",
}
# Words of other programs for our keys.
SYNONYMS = {
    "epochs": "trainer.max_epochs",
    "gpus": "trainer.devices",
    "learning_rate": "optimizer.lr",
    "seed": "seed_everything",
    "wd": "optimizer.weight_decay",
    "workers": "data.num_workers",
}


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
    return meant(key[1], KEYS) if key[1] else nearest_full_key(key[2])


def nearest_full_key(word: str) -> str:
    """The keys that may have been meant by ``word``, which stands without what is before it."""
    full: dict[str, list[str]] = {}  # by its last part
    takers = {key: [kind] for key, kind in GROUPS.items()}
    takers |= {key: [c for base in BASES[key] for c in (base, *classes(key))] for key in CLASS_KEYS}
    for key, kinds in takers.items():
        for name in dict.fromkeys(name for kind in kinds for name in arguments(kind)):
            full.setdefault(name, []).append(f"{key}.{name}")
    if found := [SYNONYMS[word]] if word in SYNONYMS else full.get(word):
        return f"; did you mean {' or '.join(found)}?"
    if near := meant(word, KEYS):
        return near
    containing = [name for name in full if word in name and len(word) > 3]
    containing.sort(key=lambda name: not name.startswith(word))
    names = containing or get_close_matches(word, full, n=1)
    found = [key for name in names for key in full[name]][:3]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def nearest_argument(where: str, raw: str) -> str:
    """The class at key ``where`` that lacks an argument, and which argument may have been meant."""
    before, word, after = re.split(r"Option '(\w+)' is not accepted", raw, maxsplit=1)
    path = r"class_path(?:=| )'[\w.]*?(\w+)'"
    named = [*re.findall(path, before)[-1:], *re.findall(path, after)][:1]
    known = [name for c in classes(where) if [c.__name__] == named for name in arguments(c)]
    return f" by {named[0]}" + meant(word, known) if named else ""


def arguments(kind: type) -> list[str]:
    """Names of the arguments that a class and its bases take."""
    parameters = [p for c in kind.__mro__[:-1] for p in inspect.signature(c).parameters.values()]
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


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
