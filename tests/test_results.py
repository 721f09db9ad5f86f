"""`results`: results as data, and the metrics that finished runs have."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import main
from project.commands.results import BEGIN, END, score, table
from project.run.folder import Run
from tests.conftest import QUIET
from tests.study import copied

pytestmark = pytest.mark.needs("results")
ROOT = DEFAULT_CONFIG.parent.parent


Fails = Callable[..., str]


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
    assert (result["seeds"], result["epochs"], result["num_test_evaluations"]) == ([0, 1], 2, 2)
    assert result.keys() >= {"device", "versions", "commit", "commands", "seconds"}
    text = readme.read_text()
    assert text.startswith("# title\n")
    assert text.endswith(f"{END}\nmore\n")
    assert f"{statistics.mean(truth):.4f} ± {statistics.stdev(truth):.4f}" in text
    untested = copied(studied[:1], tmp_path)[0]
    untested.tests.unlink()
    assert "was not tested" in fails("results", str(untested.folder), *places)


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        ({"test/acc": 0.5, "test/loss": 1.0, "val/acc": 0.9}, "accuracy 0.5000"),
        ({"test/loss": 1.0, "test/mae": 3.0, "test/r2": 0.25}, "R² 0.2500"),
        ({"test/loss": 1.0, "val/loss": 2.0}, "loss 1.0000"),
    ],
)
def test_table_shows_the_metric_that_a_task_has(metrics: dict[str, float], shown: str) -> None:
    values = {k: {"mean": v, "std": None, "values": [v]} for k, v in metrics.items()}
    assert score(values) == shown


@pytest.mark.needs("mnist")
@pytest.mark.slow
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
    runs[2].tests.write_text('{"complete": false, "test/acc": 0.5}\n')
    assert "was tested on a part of the data only" in fails(*words)
    runs[2].environment.unlink()
    assert "lacks environment.json" in fails(*words)
    other_data = ["--model=MLP", "--data=MNIST", f"--data.root={mnist_root}", *QUIET]
    other_data += ["--experiment=digits", "--trainer.max_epochs=1"]
    main(["fit", *other_data, f"--runs_dir={tmp_path}/other"])
    main(["test", f"--run={tmp_path}/other/digits", *QUIET])
    [other] = (tmp_path / "other" / "digits").iterdir()
    same = other.rename(other.with_name(runs[0].id))
    assert "two results to call" in fails("results", str(runs[0].folder), str(same), *words[-2:])
    assert not folder.exists()
    assert readme.read_text() == f"{BEGIN}{END}\n"


@pytest.mark.needs("compare")
@pytest.mark.slow
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
    assert result["num_test_evaluations"] == 3
    with cli.run.tests.open("a") as file:
        file.write('{"time": "20')
    assert "line 4 is no whole JSON" in fails("compare", str(cli.run.folder))


def test_readme_has_the_results() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.partition(BEGIN)[2].partition(END)[0] == table(ROOT / "configs" / "results")
