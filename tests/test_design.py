"""The rules that the code is written by."""

import ast
from pathlib import Path

import project
from project.cli.choices import GIVEN_TO_MODEL
from project.models import MLP
from project.models.optimized import Optimized

PACKAGE = Path(project.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of ours beside itself and `errors`; a package stands for its modules.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "optim": set(),
    "data.transforms": set(),
    "data": {"run"},
    "models": {"callbacks", "optim", "run"},  # the callbacks that an objective brings
    "plots": set(),
    "run": set(),
    "loggers": {"run"},
    "callbacks": {"data", "loggers", "models", "plots", "run"},
    "analysis": {"cli", "data", "plots", "run"},
}


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                name if (ROOT / (name.replace(".", "/") + ".py")).exists() else node.module
                for name in submodules
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.removeprefix("project.") for name in names if name.startswith("project.")}
    return found - {"errors"}


def test_imports_go_one_way() -> None:
    for path in FILES:
        name = module(path)
        part = next((part for part in ALLOWED if f"{name}.".startswith(f"{part}.")), None)
        for other in imports(path) if part is not None else ():
            assert any(f"{other}.".startswith(f"{a}.") for a in {part, *ALLOWED[part]}), path
        assert part is None or "commands" not in {other.split(".")[0] for other in imports(path)}


def test_no_drawers_for_odds_and_ends() -> None:
    names = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "common", "components", "misc", "registry"}


# Files over the limit, each with the lines it has at most and the reason.
LONGER = {
    "models.googlenet": (201, "the paper's blocks and network are read together"),
    "models.resnet": (182, "the paper's blocks and network are read together"),
    "models.pretrained": (176, "one way from a name or file to checked tensors"),
    "cli.main": (192, "the one LightningCLI subclass, and what runs a command"),
}


def test_files_and_functions_are_small() -> None:
    for path in FILES:
        text, name = path.read_text(), module(path)
        tree = ast.parse(text)
        # An import counts as one line, for the package's name decides whether it needs more.
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        lines = len(text.splitlines()) - sum(n.end_lineno - n.lineno for n in imports)
        assert lines <= LONGER.get(name, (160,))[0], path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not path.is_relative_to(PACKAGE / "models"):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


def test_heavy_imports_happen_where_they_are_used() -> None:
    heavy = {"matplotlib", "wandb", "sklearn", "scipy", "simplejpeg", "torchvision", "PIL"}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & heavy, path


def test_defaults_are_those_of_the_signature() -> None:
    import inspect

    parameters = inspect.signature(Optimized).parameters
    assert parameters["optimizer"].default.__name__ == GIVEN_TO_MODEL["optimizer"]
    assert type(parameters["lr_schedule"].default).__name__ == GIVEN_TO_MODEL["lr_schedule"]
    model = MLP(num_classes=2, input_shape=(1, 2, 2))
    assert type(model.objective).__name__ == GIVEN_TO_MODEL["objective"]
