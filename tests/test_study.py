"""Comparing runs, and results as data."""

import csv
import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from scipy.stats import binomtest
from scipy.stats import t as student

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import main
from project.commands.results import BEGIN, END, table
from project.run.folder import Run
from tests.conftest import QUIET

ROOT = DEFAULT_CONFIG.parent.parent
Fails = Callable[..., str]


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two experiments on the digits with two seeds each, tested; to look at and not to change."""
    folder, runs = tmp_path_factory.mktemp("studied"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        for hidden in ("[64]", "[]"):
            for seed in (0, 1):
                args = [
                    f"--model.hidden={hidden}",
                    f"--seed_everything={seed}",
                    "--trainer.max_epochs=2",
                ]
                cli = main(
                    ["fit", "--config", str(DEFAULT_CONFIG), *args, f"--runs_dir={folder}", *QUIET]
                )
                assert cli is not None
                main(["test", "--run", str(cli.run.folder), *QUIET])
                runs.append(cli.run)
    return runs


def copied(runs: list[Run], tmp_path: Path) -> list[Run]:
    return [
        Run(Path(shutil.copytree(run.folder, tmp_path / "copies" / "digits" / run.id)))
        for run in runs
    ]


def hits(run: Run, split: str) -> list[bool]:
    with run.sample_predictions(split).open() as file:
        return [row["true"] == row["predicted"] for row in csv.DictReader(file)]


def analysis_of_variance(groups: list[list[list[bool]]]) -> tuple[float, float, float, float]:
    """Difference, standard error, degrees of freedom and p of Hillis (2014), from mean squares in plain loops.

    Runs lie within groups and are crossed with samples, ``groups[group][run][sample]``; as many
    runs in each group.
    """
    count, runs, samples = len(groups), len(groups[0]), len(groups[0][0])
    of_run = [[statistics.fmean(run) for run in group] for group in groups]
    of_group = [statistics.fmean(values) for values in of_run]
    share = [
        [statistics.fmean(run[i] for run in group) for i in range(samples)] for group in groups
    ]
    within, interaction, crossed = [0.0, 0.0], 0.0, 0.0
    for g in range(count):
        for r in range(runs):
            within[g] += samples * (of_run[g][r] - of_group[g]) ** 2 / (runs - 1)
            for i in range(samples):
                residual = groups[g][r][i] - of_run[g][r] - share[g][i] + of_group[g]
                interaction += residual**2 / (count * (runs - 1) * (samples - 1))
    for i in range(samples):  # of groups and samples
        centre = (share[0][i] - share[1][i]) / 2 - (of_group[0] - of_group[1]) / 2
        crossed += runs * 2 * centre**2 / (samples - 1)
    # Mean squares of runs, of groups x samples, and of the rest, whose expectations share the
    # rest's variance.
    numerator = max(sum(within) / 2, interaction) + max(crossed - interaction, 0)
    freedom = numerator**2 / (
        sum((mean / 2) ** 2 / (runs - 1) for mean in within)
        + max(crossed, interaction) ** 2 / (samples - 1)
    )
    difference, error = of_group[0] - of_group[1], (2 * numerator / (runs * samples)) ** 0.5
    return difference, error, freedom, 2 * float(student.sf(abs(difference) / error, freedom))


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
        assert (group["looks"], group["seeds"]) == (2, [0, 1])
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
        [[hits(run, "test") for run in runs] for runs in (studied[:2], studied[2:])]
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
    pairs = list(zip(hits(a, "val"), hits(b, "val"), strict=True))
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


def test_what_cannot_be_compared(
    studied: list[Run], tmp_path: Path, mnist_root: Path, fails: Fails
) -> None:
    a, b = copied([studied[0], studied[2]], tmp_path)
    both = ["compare", str(a.folder), str(b.folder)]
    path = b.sample_predictions("test")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "predict different test samples" in fails(*both)
    path.unlink()
    assert "has no predictions of the test set: python -m project test --run" in fails(*both)
    b.tests.unlink()
    assert "or compare --split val" in fails(*both)
    b.sample_predictions("val").unlink()
    assert "python -m project validate --run" in fails(*both, "--split=val")
    main(
        [
            "fit",
            "--model=MLP",
            "--data=MNIST",
            f"--data.root={mnist_root}",
            "--trainer.max_epochs=1",
            *QUIET,
        ]
    )
    assert "compare runs on the same classes" in fails("compare", str(a.folder), "runs/mlp_mnist")
    assert "is not a run" in fails("compare", "nowhere")
    assert "runs" in fails("compare")
    assert "unrecognized" in fails("compare", str(a.folder), "--spilt=val")


def test_results(studied: list[Run], tmp_path: Path, fails: Fails) -> None:
    readme, folder = tmp_path / "README.md", tmp_path / "results"
    places = [f"--folder={folder}", f"--readme={readme}"]
    readme.write_text("# title\n")
    assert "has no lines" in fails("results", *places)
    readme.write_text(f"# title\n{BEGIN}old\n{END}\nmore\n")
    main(["results", *(str(run.folder) for run in studied), *places])
    result = json.loads((folder / "digits+hidden64-max_epochs2.json").read_text())
    truth = [json.loads(run.tests.read_text())["test/acc"] for run in studied[:2]]
    assert result["metrics"]["test/acc"] == {
        "mean": pytest.approx(statistics.mean(truth)),
        "std": pytest.approx(statistics.stdev(truth)),
        "values": truth,
    }
    assert (result["seeds"], result["epochs"], result["looks"]) == ([0, 1], 2, 2)
    assert result.keys() >= {"device", "versions", "commit", "commands", "seconds"}
    text = readme.read_text()
    assert text.startswith("# title\n")
    assert text.endswith(f"{END}\nmore\n")
    assert f"{statistics.mean(truth):.4f} ± {statistics.stdev(truth):.4f}" in text
    untested = copied(studied[:1], tmp_path)[0]
    untested.tests.unlink()
    assert "was not tested" in fails("results", str(untested.folder), *places)


def test_results_are_written_all_or_none(
    studied: list[Run], tmp_path: Path, mnist_root: Path, fails: Fails
) -> None:
    readme, folder = tmp_path / "README.md", tmp_path / "results"
    readme.write_text(f"{BEGIN}{END}\n")
    runs = copied(studied[:3], tmp_path)
    words = [
        "results",
        *(str(run.folder) for run in runs),
        f"--folder={folder}",
        f"--readme={readme}",
    ]
    runs[2].tests.unlink()
    assert "was not tested" in fails(*words)
    runs[2].environment.unlink()
    assert "lacks environment.json" in fails(*words)
    main(["fit", "--model=MLP", "--data=MNIST", f"--data.root={mnist_root}", "--experiment=digits", *QUIET,
          "--trainer.max_epochs=1", f"--runs_dir={tmp_path}/other"])  # fmt: skip
    main(["test", f"--run={tmp_path}/other/digits", *QUIET])
    [other] = (tmp_path / "other" / "digits").iterdir()
    same = other.rename(other.with_name(runs[0].id))
    assert "two results to call" in fails("results", str(runs[0].folder), str(same), *words[-2:])
    assert not folder.exists()
    assert readme.read_text() == f"{BEGIN}{END}\n"


def test_metrics_are_those_of_the_best_checkpoint(
    fit: Callable, tmp_path: Path, fails: Fails
) -> None:
    """Which is not saved at each epoch; and a test is of the weights that the run has now."""

    def told() -> dict:
        main(["compare", str(cli.run.folder), f"--json={tmp_path}/t.json"])
        return dict(json.loads((tmp_path / "t.json").read_text())["groups"][0]["metrics"])

    cli = fit("--trainer.max_epochs=3", "--model_checkpoint.every_n_epochs=2")
    assert told()["val/loss"]["values"] == [cli.result["val/loss"]]
    main(["test", "--run", str(cli.run.folder), *QUIET, "--trainer.limit_test_batches=1"])
    assert "test/acc" not in told()  # of a part of the set
    main(["test", "--run", str(cli.run.folder), *QUIET])
    assert "test/acc" in told()
    cli = fit("--run", str(cli.run.folder), "--trainer.max_epochs=6")
    assert told()["val/loss"]["values"] == [cli.result["val/loss"]]
    assert "test/acc" not in told()
    (tmp_path / "README.md").write_text(f"{BEGIN}{END}\n")
    words = [
        "results",
        str(cli.run.folder),
        f"--folder={tmp_path}/results",
        f"--readme={tmp_path}/README.md",
    ]
    assert "was trained on after its test: python -m project test --run" in fails(*words)
    main(["test", "--run", str(cli.run.folder), *QUIET])
    main(words)
    [result] = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    first = json.loads(cli.run.environment.read_text())["before"][0]
    assert result["commands"] == ["python " + first["command"].partition(" ")[2]]
    assert result["looks"] == 3
    with cli.run.tests.open("a") as file:
        file.write('{"time": "20')
    assert "line 4 is no whole JSON" in fails("compare", str(cli.run.folder))


def test_flags_of_compare_that_cannot_be_followed(
    studied: list[Run], tmp_path: Path, fails: Fails
) -> None:
    run = str(studied[0].folder)
    picture = f"--picture={tmp_path}/p.png"
    assert "--split is of the test between two groups, and here are 1" in fails(
        "compare", run, "--split=test"
    )
    assert f"cannot write {tmp_path}" in fails("compare", run, picture, f"--csv={tmp_path}")
    assert not list(tmp_path.parent.glob("*.part"))


def test_an_experiment_may_be_called_trials(
    fit: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_epochs=1", "--experiment=trials")
    main(["compare", "runs/trials"])
    assert "trials+max_epochs1" in capsys.readouterr().out


def test_readme_has_the_results() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.partition(BEGIN)[2].partition(END)[0] == table(ROOT / "configs" / "results")
