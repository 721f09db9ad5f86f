"""The README is short, and what it shows works."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import project
from project.cli.main import CLI

ROOT, PACKAGE = Path(__file__).parent.parent, project.__name__
READMES = ["README.md", *(f"{name}/README.md" for name in ("project", "configs", "tests"))]
READMES += [
    f"{name}/README.md" for name in ("project/data", "project/commands", "tests/benchmarks")
]


def test_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140


@pytest.mark.parametrize("readme", READMES)
def test_files_it_names_exist(readme: str) -> None:
    text = (ROOT / readme).read_text()
    for name in re.findall(rf"`((?:{PACKAGE}|configs|tests|\.github)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


EXAMPLES = {
    "class Autoencoder": ["--model=mine.Autoencoder", "--data=Digits", "--trainer.max_epochs=1"],
    "class Poly": ["--objective=mine.Poly", "--objective.epsilon=2", "--trainer.max_epochs=1"],
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_a_task_and_a_loss_train(
    example: str, fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / PACKAGE / "README.md").read_text(), re.DOTALL
    )
    [code] = [block for block in blocks if example in block]
    name = f"mine_{example.split()[1].lower()}"
    Path(f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(".")
    cli = fit(*[word.replace("mine", name) for word in EXAMPLES[example]])
    assert cli.result["val/loss"] > 0


def test_its_model_trains(fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[-1:]
    Path("mine.py").write_text(code)
    monkeypatch.syspath_prepend(".")
    model = ["--model=mine.SmallNet", "--model.width=8", "--data=Digits"]
    cli = fit(*model, "--optimizer.lr=0.01", "--trainer.max_epochs=10")
    assert cli.result["val/acc"] > 0.3
    assert cli.model.conv2.weight.shape == (8, 8, 3, 3)
