"""Names that say how a run differs from its experiment's file, and which keys count for that."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

from project.run.folder import REPEATS

# Keys that choose classes, which are named without the key: +sgd, +mixup.2.
CHOICES = {"model", "data", "objective", "optimizer", "lr_schedule", "mix", "callbacks+"}
# Keys that say where and how a run is done, not what is trained.
NON_SEMANTIC_KEYS = re.compile(
    r"(?!model_checkpoint\.(monitor|mode|every_n_\w+|train_time_interval)$)"  # choose the best
    r"(config|c|run|checkpoint|images|format|output|find|experiment|runs_dir|adapt_to_machine|speedups"
    r"|data\.(root|download|num_workers|classes|measured)"
    r"|trainer\.(accelerator|devices|num_nodes|strategy|enable_\w+|logger|log_every_n_steps|profiler|default_root_dir"
    r"|fast_dev_run|plugins|detect_anomaly)|(wandb|last_checkpoint|model_checkpoint)\b.*)(\..*)?"
)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A config as one dict: a class stands at its key, and its arguments directly below it.

    ``{"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}}`` gives
    ``{"optimizer": "SGD", "optimizer.lr": 0.1}``.
    """
    if not isinstance(config, dict) or not config:
        return {prefix: config}
    flat = {}
    if "class_path" in config:
        flat[prefix] = str(config["class_path"]).rsplit(".", 1)[-1]
        config = {"init_args": {}, **config}
    arguments = config["init_args"] or {} if "init_args" in config else config
    if not isinstance(arguments, dict):  # which the parser refuses
        return {prefix: config}
    for key, value in arguments.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


def merge(flat: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``flat`` with ``changes``, without arguments of the classes that are replaced.

    A model or dataset hands on what all of them take, such as ``data.mix``.
    """
    for key, value in changes.items():
        if key not in ("model", "data") and key in flat and flat[key] != value:
            flat = {other: v for other, v in flat.items() if not other.startswith(f"{key}.")}
        flat = {**flat, key: value}
    return flat


def separate(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flat changes in which each item appended to a list has its own key: ``key+``, ``key++``.

    An argument of the list's items, such as ``trainer.callbacks.monitor``, belongs to the item that
    was appended last.
    """
    appended = Counter(
        key for change in changes for key, value in change.items() for _ in items(key, value)
    )
    newest: dict[str, str] = {}  # for each list the key of its last item
    result: list[dict[str, Any]] = []
    for change in changes:
        result.append({})
        for key, value in change.items():
            if appended[key] > 1:
                name = key.removesuffix("+")
                for item in items(key, value):
                    newest[name] = newest.get(name, name) + "+"
                    result[-1] |= flatten(item, newest[name])
            else:
                owner = next((n for n in newest if key.startswith((f"{n}.", f"{n}+."))), None)
                result[-1][newest[owner] + key[len(owner) :].lstrip("+") if owner else key] = value
    return result


def items(key: str, value: Any) -> list[Any]:
    """What a flat key and its value append to a list, if anything."""
    classes = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return (value if classes else [value]) if key.endswith("+") else []


def overrides(configs: Iterable[dict[str, Any]], changes: Iterable[dict[str, Any]]) -> str:
    """The suffix of a run's id: ``+mixup.2-lr.05-seed1``, or nothing if there is no difference.

    Args:
        configs: Contents of the experiment's files.
        changes: Contents of overlays, and flags as `flag` gives them, in order.
    """
    base: dict[str, Any] = {"seed_everything": 0}
    for config in configs:
        base = merge(base, flatten(config))
    new: dict[str, Any] = base
    order: dict[str, None] = {}
    for change in separate([flatten(change) for change in changes]):
        new, order = merge(new, change), order | dict.fromkeys(change)
    changed = {
        key: new[key] for key in order if key in new and (key not in base or base[key] != new[key])
    }
    changed = {key: value for key, value in changed.items() if not NON_SEMANTIC_KEYS.fullmatch(key)}
    repeats = [f"{word}{changed.pop(key)}" for key, word in REPEATS.items() if key in changed]
    return "".join(
        f"{'-' if i else '+'}{word}" for i, word in enumerate([*limited(words(changed)), *repeats])
    )


def words(changed: dict[str, Any]) -> list[str]:
    """A word for each change; the strength of a mix stands right behind its name."""
    strength = changed.get("data.mix.alpha") if "data.mix" in changed else None
    result = []
    for key, value in changed.items():
        name = re.sub(r"\++$", "+", key.rpartition(".")[2])
        if name in CHOICES and value is not None:
            result.append(
                word("", value) + (word("", strength) if strength and name == "mix" else "")
            )
        elif not (strength and key == "data.mix.alpha"):
            result.append(word(name, value))
    return result


def word(name: str, value: Any) -> str:
    """A key's last name and its value in one word: ``lr.05``, ``no_batch_norm``, ``sgd``."""
    if value is None or value == [] or isinstance(value, bool):
        return ("" if value else "no_") + name
    if isinstance(value, list):
        value = "x".join(
            word("", flatten(v).get("", v) if isinstance(v, dict) else v) for v in value
        )
    elif isinstance(value, int | float):
        return name + f"{value:g}".replace("0.", ".", 1 if abs(value) < 1 else 0)
    value = re.sub(r"[^a-z0-9.]+", "_", str(value).lower()).strip("_")
    return f"{name}_{value}" if name and not value[:1].isdigit() else name + value


def limited(parts: list[str], most: int = 60) -> list[str]:
    """The first words, up to ``most`` characters, and a hash of the rest."""
    for i in range(len(parts)):
        if len("-".join(parts[: i + 1])) > most:
            return [*parts[:i], "etc_" + hashlib.sha256("-".join(parts).encode()).hexdigest()[:6]]
    return parts


def flag(name: str, value: str | None) -> dict[str, Any]:
    """A flag of the command line as a config with one key."""
    try:
        parsed = yaml.safe_load(value) if value is not None else None
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", parsed):
        parsed = float(parsed)  # 1e-3, which YAML 1.1 takes for a word
    key = name.replace(".init_args", "").removesuffix(".class_path")
    if key.rsplit(".", 1)[-1] in CHOICES and isinstance(parsed, str):
        parsed = {"class_path": parsed}
    return {key: parsed}
