"""`per_class_test.csv`: scores of each class against counts by hand and scikit-learn's report."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import classification_report

from project.callbacks.class_scores import class_scores
from project.cli.main import CLI, main
from project.run.folder import Run
from tests.conftest import QUIET
from tests.test_targets import REGRESSION, TARGETS
from tests.test_tasks import DATA

Table = list[dict[str, str]]


def read(path: Path) -> Table:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def counted(true: Sequence[bool], predicted: Sequence[bool]) -> list[float]:
    """Precision, recall, F1 and support of one class, from counts."""
    both = sum(t and p for t, p in zip(true, predicted, strict=True))
    precision, recall = both / sum(predicted), both / sum(true)
    return [precision, recall, 2 * precision * recall / (precision + recall), sum(true)]


def numbers(table: Table) -> list[list[float]]:
    return [[float(row[k]) for k in ("precision", "recall", "f1", "support")] for row in table]


def test_classes(run_copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test", f"--run={run_copy.folder}", *QUIET])
    assert "per_class_test.csv" in capsys.readouterr().out
    for split in ("val", "test"):  # `fit` ends with the validation
        predictions = read(run_copy.sample_predictions(split))
        table = read(run_copy.class_scores(split))
        assert [row["class"] for row in table] == list("0123456789")
        true, predicted = ([row[key] for row in predictions] for key in ("true", "predicted"))
        truth = [
            counted([k == row["class"] for k in true], [k == row["class"] for k in predicted])
            for row in table
        ]
        assert np.allclose(numbers(table), truth, atol=1e-6)
        report = classification_report(true, predicted, output_dict=True)
        for row, found in zip(table, numbers(table), strict=True):
            assert found == pytest.approx(list(report[row["class"]].values()), abs=1e-6)


@pytest.mark.parametrize("count", [3, 1])
def test_labels(
    count: int, fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One label alone is not taken for two classes."""
    data = DATA.replace("num_classes = 3", f"num_classes = {count}")
    data = data.replace('("even", "large", "loop")', f'("even", "large", "loop")[:{count}]')
    data = data.replace(".long())", f"[:, :{count}].long())")
    Path(f"labels{count}.py").write_text(data)
    monkeypatch.syspath_prepend(Path().absolute())
    args = ["--model=MLP", f"--data=labels{count}.Labels", "--objective=MultiLabel"]
    run = fit(*args, "--trainer.max_epochs=2", "--optimizer.lr=0.003").run
    main(["test", f"--run={run.folder}", *QUIET])
    predictions, table = read(run.sample_predictions("test")), read(run.class_scores("test"))
    names = ["even", "large", "loop"][:count]
    assert [row["class"] for row in table] == names
    truth = [
        counted(
            [row[f"true_{name}"] == "1" for row in predictions],
            [float(row[f"predicted_{name}"]) > 0.5 for row in predictions],
        )
        for name in names
    ]
    assert np.allclose(numbers(table), truth, atol=1e-6)
    assert (run.figures / "labels_test.png").exists()


def test_real_numbers_have_none(fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(Path().absolute())
    run = fit(*REGRESSION, "--trainer.max_epochs=1").run
    assert run.sample_predictions("val").exists()
    assert not run.class_scores("val").exists()


def test_classes_that_are_missing() -> None:
    """The third is never predicted, the fourth is neither there nor predicted."""
    true, predicted = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 1])
    truth = [[1, 1 / 3, np.nan, np.nan], [0.5, 1, 0, np.nan], [2 / 3, 0.5, 0, np.nan], [2, 1, 1, 0]]
    assert np.allclose(class_scores(true, predicted, 4), truth, equal_nan=True)
