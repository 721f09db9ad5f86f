"""The rules that the code is written by."""

import ast
import json
import re
from pathlib import Path

import pytest

import project
from project.arguments import DEFAULT_CLASSES
from project.models import ImageClassifier

PACKAGE = Path(project.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# What each module may import of ours; a package stands for its modules.
ALLOWED = {
    "optim": set(),
    "console": set(),
    "errors": set(),
    "seeds": set(),
    "losses": {"optim"},
    "run": {"names"},
    "names": set(),
    "checkpoint": set(),
    "text": set(),
    "predict": {"data.folders", "figures", "run"},
    "figures": {"text"},
    "nulls": {"names"},
    "arguments": {"names", "nulls", "run"},
    "data.augment": set(),
    "data.sampling": {"seeds"},
    "data.images": {"text"},
    "data.color": {"data.augment"},
    "data.policies": {"data.augment", "data.color"},
    "data.mix": set(),
    "data.folders": {"data.images", "text"},
    "data.archives": set(),
    "data.crops": {"data.augment", "data.images"},
    "data.gpu": {"data.crops", "data.images"},
    "data.prepared": {"data.folders", "data.images"},
    "data.targets": set(),
    "data.workers": set(),
    "data.base": {
        "data.augment",
        "data.folders",
        "data.images",
        "data.mix",
        "data.sampling",
        "data.targets",
        "data.workers",
        "seeds",
    },
    "data.download": {"data.base"},
    "data": {"data"},
    "startup": set(),
    "machine": {"data", "models", "run"},
    "models.layers": set(),
    "models.memory": set(),
    "models.checks": set(),
    "models.window": set(),
    "models.weights": {"checkpoint"},
    "models.network": {"models.weights"},
    "models.optimized": {"models.network", "optim"},
    "models.base": {"optim", "losses", "seeds", "models.checks", "models.optimized", "models.window"},
    "models": {"models"},
}


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


EVERYWHERE = {"console", "errors"}  # they import nothing of ours


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if (ROOT / (name.replace(".", "/") + ".py")).exists() else node.module for name in submodules]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.removeprefix("project.") for name in names if name.startswith("project.")}
    return found - EVERYWHERE


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_one_way(path: Path) -> None:
    name = module(path)
    rule = name if name in ALLOWED else name.split(".")[0]
    if rule in ALLOWED:
        bad = {i for i in imports(path) if i not in ALLOWED[rule] and i.split(".")[0] not in ALLOWED[rule]}
        assert not bad
    if name.startswith(("data", "models")):
        other = "models" if name.startswith("data") else "data"
        assert not any(i.split(".")[0] == other for i in imports(path))


def test_no_drawers_for_odds_and_ends() -> None:
    names = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "common", "components", "misc", "registry"}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 260


def test_heavy_imports_happen_where_they_are_used() -> None:
    heavy = {"matplotlib", "wandb", "sklearn", "scipy", "simplejpeg", "torchvision", "PIL"}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & heavy, path


def test_defaults_are_those_of_the_signature() -> None:
    import inspect

    parameters = inspect.signature(ImageClassifier).parameters
    assert parameters["optimizer"].default.__name__ == DEFAULT_CLASSES["optimizer"]
    assert type(parameters["lr_schedule"].default).__name__ == DEFAULT_CLASSES["lr_schedule"]


EXPERIMENTS = [path for path in sorted((ROOT / "configs").rglob("*.yaml")) if path.parent.name != "sweeps"]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_config_header_says_what_it_costs(path: Path) -> None:
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert re.search(rf"python -m project fit.* --config configs/{path.relative_to(ROOT / 'configs')}\n", header)
    rows = [line for line in header.splitlines() if not line.startswith("# On GPUs")]
    assert path.parent.name == "with" or any(re.search(r"test accuracy ([\d.]+|not measured)", row) for row in rows)
    measured = path.parent / "results" / f"{path.stem}.json"
    if measured.exists():
        accuracy = json.loads(measured.read_text())["metrics"]["test/acc"]
        spread = f" ± {accuracy['std']:.4f}" if len(accuracy["values"]) > 1 else ""
        assert f"test accuracy {accuracy['mean']:.4f}{spread}" in header


def test_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 270
    for name in re.findall(r"`((?:project|configs|tests)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
