"""Runs of the version before are read with today's names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.conftest import QUIET
from tests.kill_and_resume import equal

MODEL = {"flip_tta": "flip_average", "freeze_backbone": "freeze"}


def as_before(run: Run) -> None:
    """Write a run's config as the version before did."""
    config = yaml.safe_load(run.config.read_text())
    arguments, objective = config["model"]["init_args"], config.pop("objective")["init_args"]
    arguments |= {"criterion": objective["loss"], "label_smoothing": objective["label_smoothing"]}
    for new, old in MODEL.items():
        arguments[old] = arguments.pop(new)
    arguments["freeze"] = "trunk" if arguments["freeze"] else "none"
    for transform in config["data"]["init_args"]["augment"]:
        transform["class_path"] = transform["class_path"].replace("data.transforms", "data")
    run.config.write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.mark.slow
def test_run_of_the_version_before(fit: Callable[..., CLI]) -> None:
    args = ["--objective.label_smoothing=0.1", "--objective.loss=mse", "--model.flip_tta=true"]
    args += ["--data.augment+=project.data.transforms.augment.Crop"]
    ends = []
    for name in ("today", "before"):
        folder = fit(*args, "--trainer.max_epochs=1", f"--experiment={name}").run.folder
        run = find_run(folder)
        if name == "before":
            as_before(run)
            assert "data.augment.Crop" in run.config.read_text()
        main(["test", "--run", str(folder), *QUIET])
        main(["fit", "--run", str(folder), "--trainer.max_epochs=2", *QUIET])
        ends.append(torch.load(run.checkpoint("last"), weights_only=True))
    assert equal(ends[0]["state_dict"], ends[1]["state_dict"])
    assert equal(ends[0]["optimizer_states"], ends[1]["optimizer_states"])
    tests = [Path(f"runs/{name}").glob("*/tests.jsonl") for name in ("today", "before")]
    assert [len(list(files)) for files in tests] == [1, 1]
