"""Each command, architecture and dataset but the default ones can be deleted, and the rest runs."""

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import lightning as L
import pytest

import project.data
import project.models

ROOT = Path(project.__file__).parent.parent
DEFAULT_COMMANDS = {"__init__", "fit", "validate", "test", "predict"}


@dataclass(frozen=True)
class Part:
    """A module that a user may delete.

    Attributes:
        module: Its dotted name.
        names: The classes that its package exports from it; none for a command.
    """

    module: str
    names: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """Its files, relative to the root."""
        path = Path(*self.module.split("."))
        tracked = subprocess.check_output(["git", "ls-files", f"{path}.py", path], cwd=ROOT)
        return [Path(line) for line in tracked.decode().splitlines()]

    @property
    def package(self) -> Path:
        return Path(*self.module.split(".")[:-1]) / "__init__.py"


def classes(package: ModuleType, base: type, default: type) -> list[Part]:
    """Modules with classes below ``base``, without those that ``default`` needs."""
    by_module: dict[str, list[str]] = {}
    for name in package.__all__:
        kind = getattr(package, name)
        if isinstance(kind, type) and issubclass(kind, base) and not issubclass(default, kind):
            by_module.setdefault(kind.__module__, []).append(name)
    return [Part(module, tuple(names)) for module, names in by_module.items()]


def commands() -> list[Part]:
    names = {path.stem for path in (ROOT / "project" / "commands").glob("[!_.]*")}
    return [Part(f"project.commands.{name}") for name in sorted(names - DEFAULT_COMMANDS)]


# fit offers --find if this is there.
PENDING = {"project.commands.tune"}
PARTS = [
    *commands(),
    *classes(project.models, L.LightningModule, project.models.MLP),
    *classes(project.data, L.LightningDataModule, project.data.Digits),
]


def named_in(path: Path) -> set[str]:
    """Identifiers, imported modules and words of strings in a file, but not in its docstrings."""
    tree, found = ast.parse(path.read_text()), set()
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        ):
            found |= set(re.findall(r"[\w.]+", node.value))
    return found


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.module)
def test_nothing_else_names_it(part: Part) -> None:
    """Beside its package's list."""
    if part.module in PENDING:
        pytest.skip("fit offers --find if it is there")
    own = {ROOT / path for path in (*part.files, part.package)}
    for path in (ROOT / "project").rglob("*.py"):
        if path not in own:
            words = named_in(path)
            assert not words & set(part.names), path
            assert not [word for word in words if f"{word}.".startswith(f"{part.module}.")], path


def test_nothing_names_the_benchmarks() -> None:
    for path in [*(ROOT / "project").rglob("*.py"), *(ROOT / "tests").glob("*.py")]:
        if path.name not in ("test_benchmarks.py", "test_deletable.py"):
            words = named_in(path)
            assert not [word for word in words if f"{word}.".startswith("tests.benchmarks.")], path


def delete(part: Part, copy: Path) -> None:
    """Delete a part, its lines in the package's list and its configs from a copy."""
    for path in part.files:
        (copy / path).unlink()
    shutil.rmtree(copy / Path(*part.module.split(".")), ignore_errors=True)
    name = part.module.rpartition(".")[2]
    lines = (copy / part.package).read_text().splitlines(keepends=True)
    words = rf"{re.escape(part.module)}\b" + (rf'|"{name}"' if not part.names else "")
    text = "".join(line for line in lines if not re.search(words, line))
    for exported in part.names:
        text = re.sub(rf'"{exported}",? ?', "", text)
    (copy / part.package).write_text(text)
    for path in (copy / "configs").rglob("*.yaml"):
        uncommented = re.sub(r"#.*", "", path.read_text())
        if any(re.search(rf"\b{exported}\b", uncommented) for exported in part.names):
            path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_rest_is_imported_and_trains(tmp_path: Path) -> None:
    tracked = subprocess.check_output(["git", "ls-files", "project", "configs"], cwd=ROOT)
    copies = []
    for part in [part for part in PARTS if part.module not in PENDING]:
        copies.append(tmp_path / part.module)
        for line in tracked.decode().splitlines():
            (copies[-1] / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / line, copies[-1] / line)
        delete(part, copies[-1])
    command = [sys.executable, str(ROOT / "tests" / "import_and_train.py"), *map(str, copies)]
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
