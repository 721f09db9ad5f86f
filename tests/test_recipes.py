"""What the headers in configs/ and configs/README.md say is so."""

import itertools
import json
import shlex
from pathlib import Path

import pytest
import yaml
from PIL import Image

from project.analysis.group import plus_minus
from project.cli.main import main
from tests.conftest import slow_but
from tests.headers import CONFIGS, fit_commands

RECIPES = sorted(CONFIGS.glob("*.yaml"))
FILES = [*RECIPES, *sorted(CONFIGS.glob("with/*.yaml")), CONFIGS / "README.md"]
FIRST = {command for path in FILES for command in fit_commands(path)[:1]}
COMMANDS = list(dict.fromkeys(command for path in FILES for command in fit_commands(path)))
ON = {
    "Digits": "on 1x8x8 images, 10 classes",
    "MNIST": "on 1x28x28 images, 10 classes",
    "CIFAR10": "on 3x32x32 images, 10 classes",
    "CIFAR100": "on 3x32x32 images, 100 classes",
    "ImageNet": "on 3x{0}x{0} images, 1000 classes",
    "ImageFolder": "on 3x224x224 images, 2 classes",
    "BreastCancer": "on 30 feature(s), 2 output(s)",
    "Iris": "on 4 feature(s), 3 output(s)",
    "Diabetes": "on 10 feature(s), 1 output(s)",
}


@pytest.mark.needs("describe")
@pytest.mark.parametrize("command", slow_but(FIRST, COMMANDS))
def test_command_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``describe`` takes all keys of ``fit``, and builds the network."""
    words = [
        str(CONFIGS.parent / w) if w.startswith("configs/") else w for w in shlex.split(command)
    ]
    for name in ("cats", "dogs"):  # of your own, for those that fine-tune
        Path("photos", name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(Path("photos", name, "a.png"))
    main(["describe", *words])
    chosen = dict(itertools.pairwise(words))
    content = yaml.safe_load(Path(words[1]).read_text())
    model, data = (chosen.get(f"--{key}", content[key]["class_path"]) for key in ("model", "data"))
    size = content["data"].get("init_args", {}).get("image_size", 224)
    assert f"{model} {ON[data].format(size)}" in capsys.readouterr().out


@pytest.mark.parametrize("path", FILES[:-1], ids=lambda path: path.stem)
def test_header_has_the_command_of_its_file(path: Path) -> None:
    name = f"configs/{path.relative_to(CONFIGS)}"
    assert any(name in shlex.split(command) for command in fit_commands(path))
    assert path not in RECIPES or set(fit_commands(path)) <= set(fit_commands(FILES[-1]))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_header_and_readme_say_what_was_measured(path: Path) -> None:
    for measured in CONFIGS.glob(f"results/{path.stem}.json"):
        accuracy = json.loads(measured.read_text())["metrics"]["test/acc"]
        text = plus_minus(accuracy)
        assert f"test accuracy {text} " in path.read_text()
        assert f"| {text}, " in FILES[-1].read_text()
