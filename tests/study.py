"""Runs of two experiments with two seeds each, and the test between them in plain loops."""

import csv
import fcntl
import os
import shutil
import statistics
from pathlib import Path

import pytest
from scipy.stats import t as student

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import main
from project.run.folder import Run

QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two experiments on the digits with two seeds each, tested; to look at and not to change.

    The first process of a test run that needs them makes them for all.
    """
    folder = tmp_path_factory.getbasetemp() / "studied"
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tmp_path_factory.getbasetemp().parent / "studied"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs = [Run(path) for path in folder.glob("digits/*")] or trained(folder)
    return sorted(runs, key=lambda run: run.config.stat().st_mtime_ns)


def trained(folder: Path) -> list[Run]:
    runs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        for hidden in ("[64]", "[]"):
            for seed in (0, 1):
                words = ["fit", "--config", str(DEFAULT_CONFIG), f"--model.hidden={hidden}", *QUIET]
                words += [f"--seed_everything={seed}", "--trainer.max_epochs=2"]
                cli = main([*words, f"--runs_dir={folder}"])
                assert cli is not None
                main(["test", "--run", str(cli.run.folder), *QUIET])
                runs.append(cli.run)
    return runs


def copied(runs: list[Run], tmp_path: Path) -> list[Run]:
    return [
        Run(Path(shutil.copytree(run.folder, tmp_path / "copies" / "digits" / run.id)))
        for run in runs
    ]


def correct(run: Run, split: str) -> list[bool]:
    with run.sample_predictions(split).open() as file:
        return [row["true"] == row["predicted"] for row in csv.DictReader(file)]


def analysis_of_variance(groups: list[list[list[bool]]]) -> tuple[float, float, float, float]:
    """Difference, standard error, degrees of freedom and p of Hillis (2014), by plain loops.

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
