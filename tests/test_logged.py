"""Loggers of the user get the numbers and figures that metrics.csv and the run's folder get."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wandb
import yaml
from PIL import Image

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import CLI, main
from project.run.folder import Run
from tests.conftest import QUIET
from tests.plain_loggers import PictureLogger, PlainLogger, no_loggers_of_others  # noqa: F401
from tests.wandb_files import items, records

SHORT = [*QUIET, "--trainer.max_epochs=1"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(table: list[dict[str, str]], name: str) -> list[tuple[str, float]]:
    return [(row["step"], float(row[name])) for row in table if row.get(name)]


@pytest.mark.slow
def test_a_logger_is_added_and_stays_with_the_run(
    fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = (
        "--wandb.mode=offline",
        "--trainer.logger=CSVLogger",
        "--trainer.logger.save_dir=logs",
    )
    run = fit(*SHORT, *options).run
    assert len(list(run.folder.glob("wandb/offline-run-*"))) == 1
    logs = tmp_path / "logs" / "lightning_logs"
    for name in ("train/loss", "val/loss", "val/acc"):
        logged = values(rows(run.metrics), name)
        assert [step for step, _ in logged] == ["19"]
        assert logged == values(rows(logs / "version_0" / "metrics.csv"), name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the logger's folder stays where it was
    main(["fit", "--run", str(run.folder), *QUIET, "--trainer.max_epochs=2"])
    assert [step for step, _ in values(rows(run.metrics), "val/acc")] == ["19", "39"]
    assert [step for step, _ in values(rows(logs / "version_1" / "metrics.csv"), "val/acc")] == [
        "39"
    ]
    main(["test", "--run", str(run.folder), *QUIET])
    tested = values(rows(run.metrics), "test/acc")
    assert len(tested) == 1
    assert tested == values(rows(logs / "version_2" / "metrics.csv"), "test/acc")
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_loggers_of_the_users_own_in_a_config(fit: Callable[..., CLI], tmp_path: Path) -> None:
    picture = {
        "class_path": "tests.plain_loggers.PictureLogger",
        "init_args": {"greeting": "hello"},
    }
    loggers = [picture, {"class_path": "tests.plain_loggers.PlainLogger"}]
    Path("loggers.yaml").write_text(yaml.safe_dump({"trainer": {"logger": loggers}}))
    cli = fit("--config", str(DEFAULT_CONFIG), "--config=loggers.yaml", *SHORT)
    takes, plain = PlainLogger.made
    assert isinstance(takes, PictureLogger)
    assert (type(plain), takes.greeting) == (PlainLogger, "hello")
    assert cli.trainer.logger is takes  # a model's self.logger is the user's first
    (accuracy,) = [metrics["val/acc"] for step, metrics in plain.metrics if "val/acc" in metrics]
    assert values(rows(cli.run.metrics), "val/acc") == [("19", pytest.approx(accuracy))]
    assert takes.hyperparameters["optimizer"]["init_args"]["lr"] == 0.003
    assert takes.pictures == {f"figures/{path.stem}": 19 for path in cli.run.figures.glob("*.png")}
    main(["validate", "--run", str(cli.run.folder), *QUIET])
    assert [type(logger).__name__ for logger in PlainLogger.made[2:]] == [
        "PictureLogger",
        "PlainLogger",
    ]


@pytest.mark.slow
def test_a_wandb_logger_takes_the_place_of_ours(fit: Callable[..., CLI]) -> None:
    """A process has one W&B run, which the second logger would join."""
    options = ["--trainer.logger=WandbLogger", "--trainer.logger.project=mine"]
    options += ["--trainer.logger.mode=offline"]
    run = fit(*SHORT, *options, "--wandb.mode=offline").run
    wandb.finish()
    assert not (run.folder / "wandb").exists()
    assert values(rows(run.metrics), "val/acc")
    found = records(Run(Path.cwd()))
    (start,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert start.project == "mine"
    history = [
        items(record.history.item)
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    assert [row["trainer/global_step"] for row in history if "val/acc" in row] == [19]
    pictures = {
        name.split(".")[0] for row in history for name in row if name.startswith("figures/")
    }
    assert pictures == {f"figures/{path.stem}" for path in run.figures.glob("*.png")}


@pytest.mark.slow
def test_tensorboard_has_numbers_and_pictures(fit: Callable[..., CLI]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = fit(*SHORT, "--trainer.logger=TensorBoardLogger", "--trainer.logger.save_dir=logs").run
    fitted = {path.stem for path in run.figures.glob("*.png")}
    main(["test", "--run", str(run.folder), *QUIET])
    for version, names in (
        (0, fitted),
        (1, {path.stem for path in run.figures.glob("*_test.png")}),
    ):
        events = EventAccumulator(
            f"logs/lightning_logs/version_{version}", size_guidance={"images": 0}
        )
        events.Reload()
        assert set(events.Tags()["images"]) == {f"figures/{name}" for name in names}
        for name in names:
            (event,) = events.Images(f"figures/{name}")
            assert event.step == 19
            logged = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
            with Image.open(run.figures / f"{name}.png") as picture:
                np.testing.assert_array_equal(logged, np.asarray(picture.convert("RGB")))
        metric = ("val/acc", "test/acc")[version]
        logged = [(str(event.step), event.value) for event in events.Scalars(metric)]
        assert logged == [
            (step, pytest.approx(value)) for step, value in values(rows(run.metrics), metric)
        ]


def test_mlflow_has_numbers_and_pictures(
    fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed (pip install mlflow-skinny)")
    monkeypatch.setenv(
        "MLFLOW_ALLOW_FILE_STORE", "true"
    )  # later versions take a database unless told
    run = fit(*SHORT, "--trainer.logger=MLFlowLogger").run
    (folder,) = [path.parent for path in Path("mlruns").glob("*/*/metrics")]
    stored = {path.name: path.read_bytes() for path in (folder / "artifacts" / "figures").iterdir()}
    assert stored == {path.name: path.read_bytes() for path in run.figures.glob("*.png")}
    _, value, step = (folder / "metrics" / "val" / "acc").read_text().split()
    assert [(step, pytest.approx(float(value)))] == values(rows(run.metrics), "val/acc")
    assert (folder / "params" / "optimizer" / "init_args" / "lr").read_text() == "0.003"
