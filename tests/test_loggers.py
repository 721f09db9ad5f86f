"""Each logger of Lightning works, or ends the command in one line."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch.loggers
import pytest

from project.cli.main import CLI, main
from tests.conftest import QUIET, slow_but
from tests.plain_loggers import no_loggers_of_others  # noqa: F401, a fixture
from tests.test_logged import SHORT

# What each logger of Lightning's makes of its name and of a folder where it needs one: None if it
# works, else a part # of the line that ends the command.
VERDICTS = {
    "CSVLogger": None,
    "TensorBoardLogger": None,
    "WandbLogger": None,
    "MLFlowLogger": "pip install -U 'mlflow",
    "CometLogger": "pip install -U 'comet-ml",
    "LitLogger": "no class LitLogger",  # Lightning 2.6 has not made it one of its own Loggers
}
PACKAGES = {"MLFlowLogger": "mlflow", "CometLogger": "comet_ml"}


LOGGERS = sorted(set(lightning.pytorch.loggers.__all__) - {"Logger"})
QUICK = [name for name in LOGGERS if name not in ("TensorBoardLogger", "WandbLogger")]


@pytest.mark.parametrize("name", slow_but(QUICK, LOGGERS))
def test_each_logger_of_lightning_works_or_ends_in_one_line(
    name: str, fit: Callable[..., CLI], fails: Callable[..., str]
) -> None:
    verdict = VERDICTS[name]
    if verdict is None:
        option = "mode=disabled" if name == "WandbLogger" else "save_dir=logs"
        trainer = fit(*SHORT, f"--trainer.logger={name}", f"--trainer.logger.{option}").trainer
        assert [type(logger).__name__ for logger in trainer.loggers] == [name, "MetricsCSV"]
        return
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]):
        pytest.skip(f"{PACKAGES[name]} is installed here")
    line = fails("fit", *SHORT, f"--trainer.logger={name}")
    assert verdict in line
    assert "Iterable" not in line
    assert not list(Path("runs").glob("*/*"))


@pytest.mark.needs("compare", "report")
@pytest.mark.slow
def test_false_turns_all_loggers_off(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    cli = fit(*SHORT, "--trainer.logger=false")
    main(["test", "--run", str(cli.run.folder), *QUIET])
    main(["fit", "--run", str(cli.run.folder), *QUIET, "--trainer.max_epochs=2"])
    capsys.readouterr()
    main(["compare", str(cli.run.folder)])
    main(["report", str(cli.run.folder)])
    output = capsys.readouterr()
    assert "report.html" in output.out
    assert not output.err
    assert cli.trainer.loggers == []
    assert not cli.run.metrics.exists()
    assert not (cli.run.folder / "wandb").exists()
    assert (cli.run.figures / "confusion_matrix_test.png").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "TensorBoardLogger",
            "trainer.logger: save_dir has no default: give --trainer.logger.save_dir",
        ),
        (
            "TensorBoardLoger",
            "trainer.logger: there is no class TensorBoardLoger; did you mean TensorBoardLogger?",
        ),
        ("[{class_path: CSVLogger, init_args: {savedir: logs}}]", "did you mean save_dir?"),
    ],
)
def test_a_wrong_logger_is_said_in_one_line(
    given: str, said: str, fails: Callable[..., str]
) -> None:
    line = fails("fit", *SHORT, f"--trainer.logger={given}")
    assert said in line
    assert "Iterable" not in line
    assert "bool" not in line


def test_a_logger_that_cannot_begin_ends_the_run_before_training(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", *SHORT, "--trainer.logger=WandbLogger", "--trainer.logger.mode=online"])
    assert stop.value.code == 2
    lines = [
        line
        for line in capsys.readouterr().err.splitlines()
        if not line.startswith("wandb: WARNING")
    ]
    assert lines[-1].startswith("error: ")
    assert "wandb login" in lines[-1]
    assert not list(Path("runs").glob("*/*"))
