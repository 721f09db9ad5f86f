"""Each callback, strategy for CPUs and profiler of Lightning works from the command line, or is refused in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import callbacks, profilers
from lightning.pytorch.strategies import StrategyRegistry

from project.cli.main import CLI, main
from project.run.folder import find_run
from tests.conftest import QUIET, slow_but

WORKS = ""
# For each callback its arguments, and what the one line says that refuses it.
CALLBACKS: dict[str, tuple[list[str], str]] = {
    "BackboneFinetuning": ([], WORKS),
    "BaseFinetuning": ([], "BaseFinetuning is a base class"),
    "BasePredictionWriter": ([], "BasePredictionWriter is a base class"),
    "BatchSizeFinder": ([], "use fit --find batch_size"),
    "Callback": ([], "Callback is a base class"),
    "Checkpoint": ([], "Checkpoint is a base class"),
    "DeviceStatsMonitor": (["cpu_stats=false"], WORKS),
    "EarlyStopping": (["monitor=val/loss"], WORKS),
    "EMAWeightAveraging": ([], WORKS),
    "GradientAccumulationScheduler": (
        ['scheduling={"0": 2}'],
        "use --trainer.accumulate_grad_batches",
    ),
    "LambdaCallback": ([], WORKS),
    "LearningRateFinder": ([], "use fit --find lr"),
    "LearningRateMonitor": ([], WORKS),
    "ModelCheckpoint": ([], WORKS),
    "ModelPruning": (["pruning_fn=l1_unstructured"], "so that no checkpoint loads"),
    "ModelSummary": ([], WORKS),
    "OnExceptionCheckpoint": (
        ["dirpath=elsewhere"],
        "saves a file that later runs would begin from",
    ),
    "ProgressBar": ([], "Multiple subclasses with name ProgressBar"),
    "RichModelSummary": ([], WORKS),
    "RichProgressBar": ([], WORKS),
    "SpikeDetection": ([], "cannot load its own checkpoints"),
    "StochasticWeightAveraging": (["swa_lrs=0.01"], WORKS),
    "ThroughputMonitor": (["batch_size_fn=builtins.len"], WORKS),
    "Timer": (["duration=00:00:05:00"], WORKS),
    "TQDMProgressBar": ([], WORKS),
    "WeightAveraging": ([], WORKS),
}
REFUSED = [name for name, (_, said) in CALLBACKS.items() if said]
BARS = ("RichProgressBar", "TQDMProgressBar")
REGISTERED = {
    "ddp": WORKS,
    "ddp_find_unused_parameters_false": WORKS,
    "ddp_find_unused_parameters_true": WORKS,
    "ddp_fork": "use --trainer.strategy ddp",
    "ddp_notebook": "use --trainer.strategy ddp",
    "ddp_spawn": "use --trainer.strategy ddp",
    "deepspeed": "must have DeepSpeed installed",
    "fsdp": "requires a GPU",
    "fsdp2": WORKS,
    "single_tpu": "missing 1 required positional argument: 'device'",
    "single_xla": "missing 1 required positional argument: 'device'",
    "xla": "torch_xla",
    "single_device": WORKS,
}
PROFILERS = {
    "AdvancedProfiler": WORKS,
    "PassThroughProfiler": WORKS,
    "Profiler": "can only be one of",
    "PyTorchProfiler": WORKS,
    "SimpleProfiler": WORKS,
    "XLAProfiler": "needs torch_xla",
    "simple": WORKS,
    "advanced": WORKS,
    "pytorch": WORKS,
    "xla": "needs torch_xla",
}
ONE_EPOCH = ["fit", "--trainer.max_epochs=1", "--trainer.enable_model_summary=false"]


def test_every_callback_of_lightning_is_decided() -> None:
    assert CALLBACKS.keys() == set(callbacks.__all__)


@pytest.mark.filterwarnings(
    "ignore:When using the `ThroughputMonitor`, you need to define"
)  # it counts batches alone
@pytest.mark.parametrize("name", slow_but(["EarlyStopping", *REFUSED], CALLBACKS))
def test_callback(name: str, fails: Callable[..., str]) -> None:
    arguments, said = CALLBACKS[name]
    args = [
        f"--trainer.callbacks+={name}",
        *(f"--trainer.callbacks.{argument}" for argument in arguments),
    ]
    args += [] if name in BARS else QUIET[:1]
    if said:
        assert said in fails(*ONE_EPOCH, *args)
        assert not list(Path("runs").glob("*/*"))
        return
    main([*ONE_EPOCH, *args])
    if name == "StochasticWeightAveraging":  # it averages at a run's end, see test_swa
        return
    cli = main(
        ["fit", "--run=runs/digits", "--trainer.max_epochs=2"]
    )  # its state is saved and loaded
    assert cli is not None
    assert cli.trainer.global_step == 40
    assert cli.result["val/loss"] > 0
    assert find_run(Path("runs/digits")).checkpoint("best").exists()


def test_one_callback_needs_no_list() -> None:
    cli = main([*ONE_EPOCH, *QUIET, "--trainer.callbacks=RichModelSummary"])
    assert cli is not None
    assert "RichModelSummary" in [type(c).__name__ for c in cli.trainer.callbacks]


def test_every_strategy_of_lightning_is_decided() -> None:
    gpu = (
        "fsdp_",
        "deepspeed_",
        "ddp_fork_",
        "ddp_spawn_",
        "ddp_notebook_",
        "ddp_xla",
        "xla_",
    )  # variants
    assert {
        name for name in StrategyRegistry.available_strategies() if not name.startswith(gpu)
    } <= REGISTERED.keys()


@pytest.mark.filterwarnings("ignore:The 'single_tpu' strategy is deprecated")
@pytest.mark.parametrize("name", slow_but(["ddp_spawn", "single_device"], REGISTERED))
def test_strategy(name: str, fails: Callable[..., str]) -> None:
    args = [
        *ONE_EPOCH,
        *QUIET,
        f"--trainer.strategy={name}",
        "--trainer.accelerator=cpu",
        "--trainer.devices=1",
    ]
    if REGISTERED[name]:
        assert REGISTERED[name] in fails(*args)
    else:
        assert main(args) is not None
        torch.distributed.destroy_process_group() if torch.distributed.is_initialized() else None


def test_every_profiler_of_lightning_is_decided() -> None:
    assert PROFILERS.keys() >= set(profilers.__all__)


# PyTorch's profiler warns of Lightning's schedule, and of traces of few steps.
@pytest.mark.filterwarnings(
    "ignore:The PyTorch Profiler default schedule", "ignore:Warning. Profiler clears events"
)
@pytest.mark.parametrize("name", slow_but(["simple", "xla"], PROFILERS))
def test_profiler(name: str, fails: Callable[..., str]) -> None:
    args = [*ONE_EPOCH, *QUIET, f"--trainer.profiler={name}", "--trainer.limit_val_batches=2"]
    if PROFILERS[name]:
        assert PROFILERS[name] in fails(*args)
    else:
        assert main(args) is not None


@pytest.mark.slow
@pytest.mark.parametrize("steps", [2, -1])
def test_sanity_validation(steps: int, fit: Callable[..., CLI]) -> None:
    plain, checked = (
        fit("--trainer.max_epochs=1"),
        fit("--trainer.max_epochs=1", f"--trainer.num_sanity_val_steps={steps}"),
    )
    assert plain.result == checked.result


def test_barebones_is_refused(fails: Callable[..., str]) -> None:
    assert "--trainer.barebones true" in fails(*ONE_EPOCH, "--trainer.barebones=true")


@pytest.mark.slow
def test_bars_of_lightning_replace_ours(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*ONE_EPOCH, "--trainer.callbacks+=TQDMProgressBar"])
    assert "Epoch 0: 100%" in capsys.readouterr().out


@pytest.mark.slow
def test_a_config_that_cannot_be_read_back_is_not_written(
    fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("odd.py").write_text(
        "import lightning as L\nclass Odd(L.Callback):\n    def __init__(self, what=object()): ...\n"
    )
    monkeypatch.syspath_prepend(Path().absolute())
    assert "which YAML cannot hold" in fails(*ONE_EPOCH, *QUIET, "--trainer.callbacks+=odd.Odd")
    assert not list(Path("runs").glob("*/*"))
    # Defaults of Lightning that are no plain values are written as such.
    main(
        [
            *ONE_EPOCH,
            *QUIET,
            "--trainer.callbacks+=Timer",
            "--trainer.callbacks.duration=00:01:00:00",
        ]
    )
    assert "interval: step" in find_run(Path("runs/digits")).config.read_text()


def test_device_stats_without_psutil(
    fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE", False)
    assert "`psutil` is not installed" in fails(
        *ONE_EPOCH, *QUIET, "--trainer.callbacks+=DeviceStatsMonitor"
    )
