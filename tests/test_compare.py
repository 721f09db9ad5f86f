"""`compare`: groups of runs, their metrics, and the right test between two of them."""

import csv
import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from scipy.stats import binomtest

from project.cli.main import main
from project.run.folder import Run
from tests.study import analysis_of_variance, correct

pytestmark = pytest.mark.needs("compare")


@pytest.mark.draws
def test_compare(studied: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"--csv={tmp_path}/t.csv", f"--json={tmp_path}/t.json", f"--picture={tmp_path}/t.png"]
    main(["compare", *(str(run.folder) for run in studied), *files])
    output = capsys.readouterr().out
    comparison = json.loads((tmp_path / "t.json").read_text())
    assert [g["group"] for g in comparison["groups"]] == [
        "digits+hidden64-max_epochs2",
        "digits+no_hidden-max_epochs2",
    ]
    for group, runs in zip(comparison["groups"], (studied[:2], studied[2:]), strict=True):
        truth = [json.loads(run.tests.read_text().splitlines()[-1])["test/acc"] for run in runs]
        assert group["metrics"]["test/acc"]["values"] == truth
        assert group["metrics"]["test/acc"]["mean"] == pytest.approx(statistics.mean(truth))
        assert group["metrics"]["test/acc"]["std"] == pytest.approx(statistics.stdev(truth))
        assert f"{statistics.mean(truth):.4f} ± {statistics.stdev(truth):.4f}" in output
        assert (group["num_test_evaluations"], group["seeds"]) == (2, [0, 1])
        assert group["seconds"] > 0
    assert [g["config"] for g in comparison["groups"]] == [
        {"model.hidden": [64]},
        {"model.hidden": []},
    ]
    test = comparison["test"]
    assert (test["name"], test["samples"], test["runs"]) == (
        "Obuchowski-Rockette test",
        359,
        [2, 2],
    )
    truth = analysis_of_variance(
        [[correct(run, "test") for run in runs] for runs in (studied[:2], studied[2:])]
    )
    found = [test[key] for key in ("difference", "standard_error", "degrees_of_freedom", "p")]
    assert found == pytest.approx(truth)
    assert f"Obuchowski-Rockette test, p = {truth[-1]:.3g}" in output
    assert "McNemar" not in output
    with (tmp_path / "t.csv").open() as file:
        assert [row["runs"] for row in csv.DictReader(file)] == ["2", "2"]
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.size[0] > 1000


def test_two_single_runs_are_mcnemars_test(
    studied: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = studied[0], studied[2]
    main(
        [
            "compare",
            str(a.folder),
            str(b.folder),
            "--split=val",
            f"--json={tmp_path}/t.json",
            f"--picture={tmp_path}/p.png",
        ]
    )
    pairs = list(zip(correct(a, "val"), correct(b, "val"), strict=True))
    only = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    test = json.loads((tmp_path / "t.json").read_text())["test"]
    assert (test["name"], test["first"], test["second"]) == ("McNemar's exact test", *only)
    assert test["p"] == pytest.approx(binomtest(only[0], sum(only), 0.5).pvalue)
    assert f"McNemar's exact test, p = {test['p']:.3g}" in capsys.readouterr().out


def test_runs_that_no_test_is_right_for(
    studied: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = studied[:2], studied[2:]
    again = Run(
        Path(shutil.copytree(a[0].folder, tmp_path / "copies" / "digits" / f"{a[0].id}-again"))
    )
    twice = Run(
        Path(shutil.copytree(b[0].folder, tmp_path / "copies" / "digits" / f"{b[0].id}-again"))
    )
    for runs, reason in (
        ([a[0], *b], "has one run, which shows no spread over seeds"),
        ([*a, b[0]], "has one run, which shows no spread over seeds"),
        ([a[0], again, *b], "have the same seed, so they are not independent"),
        ([*a, b[0], twice], "have the same seed, so they are not independent"),
    ):
        files = [f"--json={tmp_path}/t.json", f"--picture={tmp_path}/p.png"]
        main(["compare", *(str(run.folder) for run in runs), *files])
        output = capsys.readouterr().out
        assert "test evaluations" in output
        assert reason in output
        assert reason in json.loads((tmp_path / "t.json").read_text())["test"]["reason"]
    assert "p = " not in output


@pytest.mark.slow
def test_folds_are_one_group(
    fit: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in (0, 1):
        for hidden in ("[8]", "[]"):
            args = [f"--data.fold={fold}", "--data.num_folds=2", f"--model.hidden={hidden}"]
            fit("--trainer.max_epochs=1", *args)
    main(["compare", "runs/digits", f"--json={tmp_path}/t.json"])
    comparison = json.loads((tmp_path / "t.json").read_text())
    assert [g["folds"] for g in comparison["groups"]] == [[0, 1], [0, 1]]
    assert comparison["test"].keys() == {"reason"}
    assert "the runs of a cross-validation share training samples" in capsys.readouterr().out
    assert (tmp_path / "runs" / "digits" / "compare.png").exists()


@pytest.mark.slow
def test_an_experiment_may_be_called_trials(
    fit: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_epochs=1", "--experiment=trials")
    main(["compare", "runs/trials"])
    assert "trials+max_epochs1" in capsys.readouterr().out
