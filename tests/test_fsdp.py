"""Two processes that each have a part of the model, by gloo on the CPU, against one with all of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from project.cli.main import main
from project.errors import UserError
from project.run.checkpoint_io import read_checkpoint, read_tensors
from project.run.folder import find_run
from project.run.fsdp import blocks
from project.run.sharded_checkpoint import SHARD, joined
from tests.conftest import QUIET
from tests.kill_and_resume import differences
from tests.test_distributed import ARGS, ENV, column, ended, fit, start, wait_for

pytestmark = pytest.mark.timeout(400)  # each starts many processes

SHARDED = [
    "--trainer.devices=2",
    "--trainer.strategy=FSDP2Strategy",
    "--trainer.strategy.block_size=1000",
    "--trainer.strategy.state_dict_type=sharded",
]


def test_blocks_are_large_modules_that_are_called() -> None:
    layer = lambda: nn.ModuleDict({"deep": nn.Sequential(nn.Linear(10, 10))})  # noqa: E731

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layer()

    small, large = Block(), Block()
    large.layers["more"] = nn.Linear(10, 10)
    stage = nn.Sequential(large, small, nn.Linear(100, 100))
    assert blocks(stage, 200) == [large]  # neither containers nor single layers
    assert blocks(stage, 100) == [large, small]


def test_shards_of_each_process_are_joined() -> None:
    whole = torch.arange(10.0).reshape(5, 2)
    parts = [{"w": {SHARD: shard}, "step": torch.tensor(3)} for shard in whole.chunk(4)]
    assert len(parts) == 3  # the fourth process has nothing
    parts.append({"w": {SHARD: whole[5:]}, "step": torch.tensor(3)})
    trees = [{"state": [part]} for part in parts]
    trees[0]["epoch"] = 2  # which the first alone has
    found = joined(trees)
    assert torch.equal(found["state"][0]["w"], whole)
    assert (found["state"][0]["step"], found["epoch"]) == (3, 2)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [SHARDED, ["--trainer.devices=2", "--trainer.strategy=fsdp2"]])
def test_two_processes_with_parts_do_what_one_does(shards: list[str]) -> None:
    process = fit(*ARGS, "--experiment=two", *shards)
    main(["fit", *ARGS, "--experiment=one"])
    status, err = ended(process)
    assert status == 0, err
    one, two = find_run(Path("runs/one")), find_run(Path("runs/two"))
    assert two.checkpoint("last").is_dir() == (shards is SHARDED)
    assert column(two, "train/loss")[:50] == pytest.approx(column(one, "train/loss")[:50], rel=1e-5)
    assert column(two, "val/acc") == column(one, "val/acc")
    left, right = (read_checkpoint(run.checkpoint("last")) for run in (one, two))
    for name, tensor in left["state_dict"].items():
        assert float((tensor - right["state_dict"][name]).abs().max()) < 1e-5
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (left, right)]
    for index, state in states[0].items():
        assert torch.allclose(state["exp_avg"], states[1][index]["exp_avg"], atol=1e-5)
    # `test` on one process, which holds the whole model, and on two, which hold parts.
    command = ["test", "--run", str(two.folder), *QUIET]
    main([*command, "--trainer.devices=1", "--trainer.strategy=auto"])
    status, err = ended(start(sys.executable, "-m", "project", *command))
    assert status == 0, err
    alone, parts = map(json.loads, two.tests.read_text().splitlines())
    assert parts["test/acc"] == alone["test/acc"]
    assert parts["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-6)
    # Training goes on without parts.
    cli = main(
        ["fit", "--run=runs/two", *QUIET, "--trainer.max_epochs=4", "--trainer.devices=1",
         "--trainer.strategy=auto"]
    )  # fmt: skip
    assert cli is not None
    assert cli.trainer.global_step == 80


@pytest.mark.slow
def test_killed_run_goes_on_bit_for_bit() -> None:
    """With batch norm and dropout, which depend on the process, and a kill of all processes."""
    args = [*ARGS[:3], "--trainer.max_epochs=10", *SHARDED]
    whole = fit(*args, "--experiment=whole")
    assert ended(whole)[0] == 0
    command = [sys.executable, "-m", "project", "fit", *args, "--experiment=killed"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENV,
        start_new_session=True,
    )
    wait_for("runs/killed/*/checkpoints/previous.ckpt")
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # before its end
    status, err = ended(fit("--run=runs/killed"))
    assert status == 0, err
    assert differences(find_run(Path("runs/whole")), find_run(Path("runs/killed"))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trainer.callbacks=EMA"], "EMA needs the whole model: use --trainer.strategy ddp"),
        (
            ["--optimizer=SAM", "--optimizer.base_optimizer=SGD"],
            "gives an optimiser, network or callback of this run parts of tensors",
        ),
    ],
)
def test_what_needs_whole_tensors_is_refused(flags: list[str], said: str) -> None:
    status, err = ended(fit(*ARGS, *SHARDED, *flags))
    assert (status, said in err[-1]) == (2, True), err


@pytest.mark.slow
@pytest.mark.needs("ResNet")
def test_channels_last_is_refused() -> None:
    args = ["--model=ResNet", "--model.stem=small", "--model.channels_last=true", "--data=Digits"]
    status, err = ended(fit(*args, *QUIET, "--trainer.accelerator=cpu", *SHARDED))
    assert (
        status,
        "fsdp2 needs contiguous parameters: give --model.channels_last false" in err[-1],
    ) == (2, True), err


def test_weights_come_from_shards_and_a_missing_one_is_named(tmp_path: Path) -> None:
    whole = torch.arange(10.0).reshape(5, 2)
    for rank, shard in enumerate(whole.chunk(2)):
        torch.save({"state_dict": {"w": {SHARD: shard}}}, tmp_path / f"{rank}-of-2.ckpt")
    assert torch.equal(read_tensors(tmp_path)["w"], whole)
    (tmp_path / "1-of-2.ckpt").unlink()
    with pytest.raises(UserError, match=r"there is no checkpoint file .*1-of-2\.ckpt"):
        read_checkpoint(tmp_path)
