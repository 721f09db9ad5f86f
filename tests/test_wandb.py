"""W&B, read back with W&B's own reader; never a prompt, an account or a network."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from project.cli.main import CLI, main
from project.loggers.wandb_setup import as_id
from project.run.folder import find_run
from tests.conftest import QUIET
from tests.wandb_files import artifacts, items, records


@pytest.fixture
def online_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mode is given and there are no credentials: as on a stranger's machine."""
    monkeypatch.delenv("WANDB_MODE")

    def connect(*args: object, **kwargs: object) -> None:
        raise AssertionError("W&B was looked for without credentials")

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.mark.slow
@pytest.mark.usefixtures("online_is_a_defect")
def test_offline_run_has_config_history_pictures_and_summary(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_epochs=2", "--wandb.tags=[first,second]")
    output = capsys.readouterr()
    run = find_run(Path("runs/digits"))
    assert "no credentials found" in output.err
    assert f"wandb sync runs/digits/{run.id}/wandb/offline-run-" in output.out
    found = records(run)
    start = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (start.run_id, start.run_group) == (
        f"digits-{run.id}".replace("+", "-"),
        "digits+max_epochs2",
    )
    assert start.display_name == f"digits/{run.id}"
    assert list(start.tags) == ["first", "second"]
    config: dict[str, Any] = {}
    for record in found:
        for source in (record.config, record.run.config):
            config |= items(source.update)
    assert config["model"]["init_args"]["hidden"] == [512, 256]
    assert config["optimizer"]["init_args"]["lr"] == 0.003
    assert config["parameters"] == 512 * 64 + 2 * 512 + 256 * 512 + 2 * 256 + 10 * 256 + 10
    assert "git" in config
    history = [
        items(record.history.item)
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    steps = [row["trainer/global_step"] for row in history if "train/loss" in row]
    assert steps == [19, 39]
    assert [row["trainer/global_step"] for row in history if "val/acc" in row] == [19, 39]
    pictures = {
        name.split(".")[0] for row in history for name in row if name.startswith("figures/")
    }
    assert pictures >= {
        "figures/history",
        "figures/confusion_matrix_val",
        "figures/predictions_val",
    }
    logged = {name for row in history for name in row}
    assert any(name.startswith("confusion_matrix/val") for name in logged)
    table = next(row for row in history if "tables/predictions_val.path" in row)[
        "tables/predictions_val.path"
    ]
    content = json.loads(next(run.folder.glob(f"wandb/offline-run-*/files/{table}")).read_text())
    assert content["columns"] == ["image", "true", "predicted", "confidence"]
    assert len(content["data"]) == 12
    for _, true, predicted, confidence in content["data"]:
        assert {true, predicted} <= set("0123456789")
        assert 0 < confidence <= 1
    tables = [entry.path for artifact in artifacts(found) for entry in artifact.manifest.contents]
    assert sum(path.startswith("media/images/") for path in tables) >= 12
    summary: dict[str, Any] = {}
    for record in found:
        summary |= items(record.summary.update)
    assert 0 < summary["best/val/acc"] <= 1


@pytest.mark.slow
@pytest.mark.usefixtures("online_is_a_defect")
def test_long_names_make_short_ids(fit: Callable[..., CLI]) -> None:
    """W&B takes ids of 64 characters, and names of artifacts of 128 that begin with them."""
    long = "x" * 90
    run = fit("--trainer.max_epochs=1", f"--experiment={long}").run
    start = next(record.run for record in records(run) if record.WhichOneof("record_type") == "run")
    assert start.display_name == f"{long}/{run.id}"
    assert len(start.run_id) == 64
    assert len({as_id(long + "1"), as_id(long + "2")}) == 2
    assert as_id("lr=0.1,a:b#c") == "lr-0.1-a-b-c"


@pytest.mark.slow
@pytest.mark.usefixtures("online_is_a_defect")
def test_model_and_gradients_are_logged_if_asked(fit: Callable[..., CLI]) -> None:
    plain = fit("--trainer.max_epochs=1").run
    asked = fit(
        "--trainer.max_epochs=1",
        "--wandb.log_model=true",
        "--wandb.watch=all",
        "--trainer.log_every_n_steps=5",
    ).run
    found = {run: records(run) for run in (plain, asked)}
    for run, wanted in ((plain, False), (asked, True)):
        history = [
            items(record.history.item)
            for record in found[run]
            if record.WhichOneof("record_type") == "history"
        ]
        names = {name for row in history for name in row}
        assert any(name.startswith("gradients/") for name in names) == wanted
        assert any(name.startswith("parameters/") for name in names) == wanted
        models = [artifact for artifact in artifacts(found[run]) if artifact.type == "model"]
        assert len(models) == int(wanted)
    assert set(models[0].aliases) >= {"best", "step-20"}
    assert [entry.path for entry in models[0].manifest.contents] == ["best.ckpt"]


@pytest.mark.slow
@pytest.mark.usefixtures("online_is_a_defect")
def test_the_same_wandb_run_goes_on(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_epochs=1")
    run = find_run(Path("runs/digits"))
    main(["fit", "--run", str(run.folder), "--trainer.max_epochs=2", *QUIET])
    assert capsys.readouterr().out.count("/offline-run-*") == 1  # where one would not be all
    main(["test", "--run", str(run.folder), *QUIET])
    said = capsys.readouterr().out
    assert f"wandb sync runs/digits/{run.id}/wandb/offline-run-* (to log online: wandb log" in said
    assert len(list(run.folder.glob("wandb/offline-run-*"))) == 3
    found = records(run)
    assert {record.run.run_id for record in found if record.WhichOneof("record_type") == "run"} == {
        f"digits-{run.id}".replace("+", "-")
    }
    history = [
        items(record.history.item)
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    assert [row["trainer/global_step"] for row in history if "val/acc" in row] == [19, 39]
    assert any("test/acc" in row for row in history)
