"""Each command, architecture and dataset but the default ones can be deleted, and the rest runs."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import lightning as L
import pytest

import project.data
import project.models
from project.commands import COMMANDS
from project.commands.new.omission import without
from project.commands.new.parts import Part, find_parts, needed_by, texts_of
from tests.conftest import is_there

pytestmark = pytest.mark.needs("new")
ROOT = Path(project.__file__).parent.parent
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_bytes()
    for folder in ("project", "configs")
    for path in [*(ROOT / folder).rglob("*"), ROOT / "pyproject.toml", ROOT / "README.md"]
    if path.is_file() and "__pycache__" not in path.parts
}
TEXTS = texts_of(FILES, project.__name__)


def modules(package: ModuleType, base: type, default: type) -> set[str]:
    """Names of the modules with classes below ``base``, but for those that ``default`` needs."""
    kinds = [getattr(package, name) for name in package.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, base)]
    return {kind.__module__.split(".")[-1] for kind in kinds if not issubclass(default, kind)}


NAMES = {
    *COMMANDS.keys() - {"fit", "validate", "test", "predict"},
    *modules(project.models, L.LightningModule, project.models.MLP),
    *modules(project.data, L.LightningDataModule, project.data.Digits),
    *({"tune"} if is_there("tune") else ()),  # fit offers --find if it is there
}
PARTS = [part for part in find_parts(FILES, project.__name__) if part.name in NAMES]


def test_all_are_found() -> None:
    assert sorted(part.name for part in PARTS) == sorted(NAMES)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.module)
def test_nothing_else_names_it(part: Part) -> None:
    """Beside its package's list."""
    assert needed_by(part, [part], TEXTS) is None


# The parts that copies may be without.
SHIPPED = """
    calibrate check compare describe export new prepare push report results sweep tune
    airbench alexnet convnext efficientnet googlenet lenet mobilenetv3 resnet vgg vit
    timm_models torchvision_models
    cifar image_folder imagenet mnist points scikit_learn table torchvision_datasets torchvision_photographs
"""


def test_marks_name_parts() -> None:
    """Tests of a misspelt part would never run."""
    for path in (ROOT / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.needs":
                words = {word.value for word in node.args if isinstance(word, ast.Constant)}
                assert {str(word).lower() for word in words} <= {*NAMES, *SHIPPED.split()}, path


def test_nothing_names_the_benchmarks() -> None:
    for path in [*(ROOT / "project").rglob("*.py"), *(ROOT / "tests").glob("*.py")]:
        if path.name not in ("test_benchmarks.py", "test_deletable.py"):
            assert not re.search(r"(from|import) tests.benchmarks", path.read_text()), path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_rest_is_imported_and_trains(tmp_path: Path) -> None:
    copies = []
    for part in PARTS:
        copies.append(tmp_path / part.name)
        for path, content in without(FILES, [part], project.__name__).items():
            (copies[-1] / path).parent.mkdir(parents=True, exist_ok=True)
            (copies[-1] / path).write_bytes(content)
    command = [sys.executable, str(ROOT / "tests" / "import_and_train.py"), *map(str, copies)]
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
