"""The notebook `.github/tour.ipynb` is valid, has nothing but text and Python, and runs."""

import ast
import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import project

NOTEBOOK = Path(project.__file__).parent.parent / ".github" / "tour.ipynb"


@pytest.fixture
def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_notebook_is_one_of_format_4_without_outputs(notebook: dict[str, Any]) -> None:
    assert notebook.keys() == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    text, code = (
        {"cell_type", "id", "metadata", "source"},
        {"cell_type", "id", "metadata", "source", "execution_count", "outputs"},
    )
    for cell in notebook["cells"]:
        assert cell.keys() == {"markdown": text, "code": code}[cell["cell_type"]]
        assert (cell.get("execution_count"), cell.get("outputs", [])) == (None, [])
        assert all(isinstance(line, str) for line in cell["source"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))  # no magic
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert ("code", "code") not in pairwise(kinds)  # there is a word on each


def run(source: str, name: str, names: dict[str, Any]) -> Any:
    """Execute a cell, and give the value of its last line, which a notebook shows."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    return last and eval(compile(ast.Expression(last.value), name, "eval"), names)


@pytest.mark.slow
@pytest.mark.needs("compare")
def test_notebook_runs_in_a_minute(
    notebook: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict[str, Any] = {"__name__": "__main__"}
    pictures: list[tuple[int, int]] = []
    start = time.process_time()
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            shown = run("".join(cell["source"]), f"{NOTEBOOK.name}, cell {number}", names)
            if isinstance(shown, Image.Image):
                shown.load()
                pictures.append(shown.size)
    assert time.process_time() - start < 60
    assert len(pictures) == 2
    said = capsys.readouterr().out
    assert [p.ranked[0][0] for p in names["predictions"]] == list("01234")
    assert names["by_hand"][0]["val/acc"] > 0.9
    assert "McNemar's exact test" in said
    assert r"\bottomrule" in said
    assert len(list(tmp_path.glob("*/runs/digits/*/per_class_test.csv"))) == 2
