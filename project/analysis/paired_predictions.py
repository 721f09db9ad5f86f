"""The saved predictions of several runs for the same samples."""

import csv

import numpy as np

from project.analysis.group import Group
from project.analysis.obuchowski_rockette import Values
from project.analysis.run_result import RunResult
from project.errors import UserError
from project.run.folder import shown


def correct_predictions(groups: list[Group], split: str) -> list[Values]:
    """1 for each correct prediction and 0 for each other: an array (runs, samples) for each group.

    Raises:
        UserError: A run has no predictions, or the runs predict different samples.
    """
    first, arrays = groups[0].results[0], []
    samples = samples_of(first, split)
    for group in groups:
        for result in group.results:
            if samples_of(result, split) != samples:
                both = f"{shown(first.run.folder)} and {shown(result.run.folder)}"
                raise UserError(
                    f"{both} predict different {split} samples: compare runs with one split"
                )
        rows = [
            [row["true"] == row["predicted"] for row in result.predictions(split).values()]
            for result in group.results
        ]
        arrays.append(np.array(rows, dtype=np.float64))
    return arrays


def samples_of(result: RunResult, split: str) -> list[tuple[int, str, str]]:
    """Index, class and class name of each sample that a run predicts."""
    predictions = result.predictions(split)
    return [(index, row["true"], row["true_name"]) for index, row in predictions.items()]


def why_no_classes(groups: list[Group], split: str) -> str:
    """The reason why runs do not predict a class for each sample; empty if all of them do."""
    results = [result for group in groups for result in group.results]
    if not any(result.run.sample_predictions(split).exists() for result in results):
        return f"no run has predictions of the {split} set"
    if not all(predicts_classes(result, split) for result in results):
        return "the test counts correct classes, and not all of the runs predict classes"
    return ""


def predicts_classes(result: RunResult, split: str) -> bool:
    """Whether a run's predictions are classes; true as well if it has none, which is an error."""
    path = result.run.sample_predictions(split)
    if not path.exists():
        return True
    with path.open(newline="", encoding="utf-8") as file:
        return "predicted" in next(csv.reader(file), [])


def common_split(groups: list[Group]) -> str:
    """``test`` if all runs were tested after their training ended, ``val`` if none was.

    Raises:
        UserError: Only some of them were tested.
    """
    tested = {bool(result.test_result): result for group in groups for result in group.results}
    if len(tested) == 2:
        folder = shown(tested[False].run.folder)
        raise UserError(
            f"{folder} has no predictions of the test set, as others have: "
            f"python -m project test --run {folder}, or compare --split val"
        )
    return "test" if True in tested else "val"
