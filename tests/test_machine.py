"""A config that asks for more than this machine has: what is trained in its place, what is said, and what is noted."""

import json
import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.plugins.precision import MixedPrecision, Precision

from project.cli import machine
from project.cli.main import CLI, main
from project.run import processor
from project.run.folder import Run
from tests.conftest import QUIET, slow_but

Fit = Callable[..., CLI]

SHORT = ["--trainer.accelerator=cpu", "--trainer.fast_dev_run=true"]
KEEP = "--adapt_to_machine=false"


@pytest.fixture
def emulating(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that emulates bfloat16, as a processor of before 2020 does.

    oneDNN reads the variable once, at its first operation, which is done before: other tests keep
    its instructions.
    """
    with torch.autocast("cpu", torch.bfloat16):
        torch.nn.functional.conv2d(torch.zeros(1, 8, 9, 9), torch.zeros(8, 8, 3, 3))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with instructions for bfloat16."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr that say what was adapted."""
    return [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("adapted to this machine")
    ]


def noted(run: Run) -> dict[str, object]:
    return json.loads(run.environment.read_text())["adapted"]


def dtypes(cli: CLI) -> tuple[str, type]:
    return cli.trainer.precision, type(cli.trainer.precision_plugin)


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries are left as they are")
def test_freed_memory_is_kept(fit: Fit) -> None:
    """A tensor of 64 MB has 16,384 pages, which the system fills with zeros when they are new.

    The first freed block may lack the few bytes that align the next tensor, but not each.
    """
    fit(*SHORT)
    faults = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.empty(2**24).fill_(1)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 100, faults


@pytest.mark.usefixtures("emulating")
@pytest.mark.filterwarnings("ignore:You passed .* AMP with fp16 is not supported on CPU")
@pytest.mark.parametrize("precision", slow_but(["bf16-mixed"], ["bf16-mixed", "16-mixed"]))
def test_emulated_bfloat16_becomes_float32(
    fit: Fit, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    plain = fit(*SHORT).model.state_dict()
    assert said(capsys) == []
    cli = fit(*SHORT, f"--trainer.precision={precision}")
    [line] = said(capsys)
    assert f"--trainer.precision 32-true in place of {precision}" in line
    assert "--adapt_to_machine false" in line
    assert dtypes(cli) == ("32-true", Precision)
    assert all(torch.equal(plain[key], value) for key, value in cli.model.state_dict().items())
    assert yaml.safe_load(cli.run.config.read_text())["trainer"]["precision"] == precision
    assert noted(cli.run) == {"trainer.precision": "32-true"}
    cli = fit(*SHORT, f"--trainer.precision={precision}", KEEP)
    assert said(capsys) == []
    assert dtypes(cli) == ("bf16-mixed", MixedPrecision)
    assert noted(cli.run) == {}
    assert "adapt" not in cli.run.id


@pytest.mark.slow
@pytest.mark.usefixtures("emulating")
def test_every_command_on_a_run_adapts(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from PIL import Image

    monkeypatch.setenv("CXX", "no-such-compiler")
    asked = ["--trainer.precision=bf16-mixed", "--model.compile=true"]
    run = fit("--trainer.accelerator=cpu", "--trainer.max_epochs=1", *asked).run
    both = {"trainer.precision": "32-true", "model.compile": False}
    assert len(said(capsys)) == len(both)
    assert noted(run) == both
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    for command in (["validate"], ["predict", "--images", str(tmp_path / "a.png")]):
        cli = main([*command, "--run", str(run.folder), *QUIET])
        assert cli is not None
        assert dtypes(cli) == ("32-true", Precision)
        assert len(said(capsys)) == 1  # nothing is compiled for these
    config = yaml.safe_load(run.config.read_text())
    assert (config["trainer"]["precision"], config["model"]["init_args"]["compile"]) == (
        "bf16-mixed",
        True,
    )
    del config["adapt_to_machine"]  # as runs of earlier versions have it
    run.config.write_text(yaml.safe_dump(config))
    cli = fit("--run", str(run.folder), "--trainer.max_epochs=2")
    assert dtypes(cli) == ("32-true", Precision)
    assert cli.trainer.current_epoch == 2
    assert noted(run) == both


@pytest.mark.usefixtures("native")
def test_native_bfloat16_stays(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    cli = fit(*SHORT, "--trainer.precision=bf16-mixed")
    assert said(capsys) == []
    assert dtypes(cli) == ("bf16-mixed", MixedPrecision)
    assert noted(cli.run) == {}


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("name", "value", "emulates"),
    [
        ("ONEDNN_MAX_CPU_ISA", "avx2", True),
        ("DNNL_MAX_CPU_ISA", "AVX512_CORE_VNNI", True),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", False),
        ("ONEDNN_MAX_CPU_ISA", "ALL", False),
    ],
)
def test_what_onednn_may_use(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, emulates: bool
) -> None:
    monkeypatch.setenv(name, value)
    assert machine.emulates_bfloat16() == emulates


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("flags", "emulates"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", True),
        ("flags\t\t: fpu avx512f avx512_bf16 wbnoinvd", False),
        ("flags\t\t: fpu amx_bf16 amx_tile", False),
        ("Features\t: fp asimd sve i8mm bf16 dgh", False),
        ("Features\t: fp asimd svebf16x", True),
        ("model name\t: bf16", True),
    ],
)
def test_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, emulates: bool
) -> None:
    """Where PyTorch knows of neither instruction, or has not the functions that tell."""
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.emulates_bfloat16()
    processor.CPUINFO.write_text(f"processor\t: 0\n{flags}\n")
    assert machine.emulates_bfloat16() == emulates


def test_a_gpu_computes_in_what_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "emulates_bfloat16", lambda: True)
    asked = {"accelerator": "gpu", "precision": "bf16-mixed"}
    assert machine.adapt(asked, torch.nn.Identity(), training=True) == {}  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.adapt(asked | {"accelerator": "auto"}, torch.nn.Identity(), training=True) == {}  # type: ignore[arg-type]
    assert asked["precision"] == "bf16-mixed"


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system does not say which cores it may use"
)
def test_no_more_workers_than_cores(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    arguments = [*SHORT, "--data.num_workers=2"]
    cli = fit(*arguments)
    [line] = said(capsys)
    assert "--data.num_workers 1 in place of 2" in line
    assert cli.datamodule.num_workers == 1
    assert yaml.safe_load(cli.run.config.read_text())["data"]["init_args"]["num_workers"] == 2
    assert noted(cli.run) == {"data.num_workers": 1}
    few = cli.model.state_dict()
    with pytest.warns(UserWarning, match="suggested max number of worker in current system is 1"):
        cli = fit(*arguments, KEEP)
    assert cli.datamodule.num_workers == 2
    assert all(torch.equal(few[key], value) for key, value in cli.model.state_dict().items())


@pytest.mark.parametrize(("srun", "workers"), [(False, 2), (True, 8)])
def test_devices_share_the_cores(monkeypatch: pytest.MonkeyPatch, srun: bool, workers: int) -> None:
    """Slurm gives each process cores of its own."""
    for name in ("SLURM_PROCID", "SLURM_STEP_ID"):
        monkeypatch.setenv(name, "0") if srun else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    data = machine.ImageDataModule(num_workers=8)
    machine.adapt_workers(data, devices=4)
    assert data.num_workers == workers


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_nothing_is_compiled(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    monkeypatch.setenv("CXX", compiler)
    cli = fit(*SHORT, "--model.compile=true")
    assert not compiled
    [line] = said(capsys)
    assert "--model.compile false in place of true" in line
    assert compiler in line
    assert yaml.safe_load(cli.run.config.read_text())["model"]["init_args"]["compile"] is True
    assert noted(cli.run) == {"model.compile": False}
    fit(*SHORT, "--model.compile=true", KEEP)
    assert len(compiled) == 1


def test_without_the_headers_of_python_nothing_is_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if why := machine.why_not_compiled():
        pytest.skip(why)
    monkeypatch.setattr(machine.sysconfig, "get_path", lambda *_, **__: str(tmp_path))
    assert "Python.h" in machine.why_not_compiled()


@pytest.mark.needs("check")
@pytest.mark.slow
@pytest.mark.usefixtures("emulating")
def test_check_times_both_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, used in (([], "float32"), ([KEEP], "bfloat16")):
        main(["check", "--trainer.precision=bf16-mixed", *flags])
        [row] = [line for line in capsys.readouterr().out.splitlines() if "│ precision" in line]
        assert "bfloat16" in row
        assert f"fit uses {used}" in row


def test_first_process_alone_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("project")
    level = log.level
    try:
        log.setLevel(logging.WARNING)  # as `quieten` does for the others
        assert machine.changed("data.num_workers", 8, 2, "there are 2") == {"data.num_workers": 2}
    finally:
        log.setLevel(level)
    assert said(capsys) == []
