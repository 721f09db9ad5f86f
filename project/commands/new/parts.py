"""The parts of a template that its user may leave out, and whether the rest needs them."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from project.cli.arguments import DEFAULT_CONFIG
from project.commands import TRAINER_COMMANDS
from project.errors import UserError

Files = dict[str, bytes]  # contents by path, relative to the root
FOLDERS = ("commands", "models", "data")


@dataclass(frozen=True)
class Part:
    """A module or folder in one of FOLDERS.

    Attributes:
        module: Its dotted name.
        classes: What the ``__init__`` beside it exports from it.
    """

    module: str
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What ``--without`` calls it."""
        return self.module.rpartition(".")[2]

    def owns(self, path: str) -> bool:
        """Whether a file belongs to it."""
        return path.startswith(tuple(self.module.replace(".", "/") + end for end in (".py", "/")))

    def is_needed_in(self, text: str) -> bool:
        """Whether a text names it, and does not ask ``find_spec`` whether it is there."""
        package = self.module.removesuffix(f".{self.name}")
        words = (self.module, rf"from {package} import .*\b{self.name}", *self.classes)
        named = re.search(rf"\b({'|'.join(words)})\b", text)
        return bool(named) and f"find_spec('{self.module}')" not in text


def chosen_parts(names: Iterable[str], files: Files, package: str) -> list[Part]:
    """The parts with these names, in upper or lower case.

    Raises:
        UserError: There is no such part, or a file that stays needs it.
    """
    parts, texts = find_parts(files, package), texts_of(files, package)
    chosen = [part for part in parts if part.name in {name.lower() for name in names}]
    for name in names:
        if name.lower() not in {part.name for part in chosen}:
            known = [part.name for part in parts if not needed_by(part, [part], texts)]
            raise UserError(f"there is no part {name} to leave out: use {', '.join(known)}")
    for part in chosen:
        if path := needed_by(part, chosen, texts):
            raise UserError(f"{part.name} cannot be left out, because {path} needs it")
    return chosen


def find_parts(files: Files, package: str) -> list[Part]:
    """All modules in FOLDERS but the commands of the Trainer; `needed_by` tells which must stay."""
    parts = []
    for folder in (f"{package}/{name}/" for name in FOLDERS):
        lists = ast.parse(files[f"{folder}__init__.py"]).body
        imports = [node for node in lists if isinstance(node, ast.ImportFrom)]
        paths = [path for path in files if path.startswith(folder) and path.endswith(".py")]
        for name in sorted({re.split(r"[/.]", path.removeprefix(folder))[0] for path in paths}):
            module = f"{folder}{name}".replace("/", ".")
            listed = [
                alias.name for node in imports if node.module == module for alias in node.names
            ]
            parts.append(Part(module, tuple(listed)))
    return [part for part in parts if part.name not in ("__init__", *TRAINER_COMMANDS)]


def needed_by(part: Part, leaving: Iterable[Part], texts: dict[str, str]) -> str | None:
    """The first file that needs ``part`` and stays when ``leaving`` go; None if there is none."""
    staying = (path for path in texts if not any(other.owns(path) for other in leaving))
    return next((path for path in staying if part.is_needed_in(texts[path])), None)


def texts_of(files: Files, package: str) -> dict[str, str]:
    """The default config and the package's code without prose and lists of parts."""
    lists = {f"{package}/{name}/__init__.py" for name in FOLDERS}
    default = f"configs/{DEFAULT_CONFIG.name}"
    texts = {default: uncommented(files.get(default, b""))}
    for path in [path for path in files if path.startswith(f"{package}/") and path not in lists]:
        if path.endswith(".py"):
            texts[path] = undocumented(files[path])
    return texts


@cache
def undocumented(source: bytes) -> str:
    """Python code without its comments, docstrings and messages."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
    return ast.unparse(tree)


def uncommented(config: bytes) -> str:
    """A YAML file without its comments."""
    return re.sub("#.*", "", config.decode())
