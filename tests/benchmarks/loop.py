"""What `fit` costs beyond a hand-written PyTorch loop, per training step.

    python -m tests.benchmarks.loop --root DIR [--models mlp resnet18] [--turns 60]

All train an MLP 784-64-128-64-10 on MNIST in memory with batches of 128 and AdamW, or torchvision's
ResNet-18 with a stem for small images with batches of 64, and write mean loss and accuracy to CSV
once a turn; `fit` has its default loggers, metrics, callbacks and progress bar besides. They take
turns in one process, 50 steps each or 3 of ResNet-18; the ratio is the median over all turns.
Validation, checkpoints and the first two turns are not timed.

`fit` chooses PyTorch's fused kernel of AdamW, the usual hand-written loop does not; the ratio to
one that does, what remains of the loop alone, is printed too.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning as L
import torch
import torchvision
from torch import nn

from project.data import MNIST
from tests.benchmarks import conclude, fit, new_parser
from tests.benchmarks.turns import Batches, ByHand, TakeTurns

RATE = 1e-3


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(),
        nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def resnet18() -> nn.Module:
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


@dataclass(frozen=True)
class Case:
    """What is trained: by hand, and the flags of `fit` for the same."""

    network: Callable[[], nn.Module]
    flags: list[str]
    batch: int
    steps: int  # of a turn


CASES = {
    "mlp": Case(mlp, ["--model=MLP", "--model.hidden=[64,128,64]"], 128, 50),
    "resnet18": Case(resnet18, ["--model=ResNet", "--model.depth=18", "--model.stem=small"], 64, 3),
}


def batches(data: MNIST, size: int) -> Batches:
    """Batches of the training images, shuffled epoch after epoch."""
    images, classes, indices = data.train_set.x, data.train_set.y, data.train_indices
    while True:
        order = indices[torch.randperm(len(indices))]
        for index in order.split(size)[: len(order) // size]:
            yield images.index_select(0, index), classes.index_select(0, index)


def by_hand(case: Case, trainer: L.Trainer) -> dict[str, ByHand]:
    """The usual loop, and one with the fused kernel."""
    data, cpu = trainer.datamodule, torch.device("cpu")
    loops = {}
    for name, fused in (("hand", None), ("hand_fused", True)):
        log = Path(trainer.default_root_dir) / f"{name}.csv"
        make = partial(torch.optim.AdamW, lr=RATE, fused=fused)
        loops[name] = ByHand(
            case.network(), make, batches(data, case.batch), *data.statistics(cpu), log, cpu
        )
    return loops


def flags_of(name: str, root: str, folder: str) -> list[str]:
    """The command line of `fit` for a case, without end, with its runs in ``folder``."""
    case = CASES[name]
    return [
        "fit", *case.flags, "--data=MNIST", f"--data.root={root}",
        f"--data.batch_size={case.batch}", "--trainer.max_epochs=1000",
        "--trainer.limit_val_batches=1", f"--runs_dir={folder}", "--optimizer=AdamW",
        f"--optimizer.lr={RATE}", "--wandb.mode=disabled", "--trainer.accelerator=cpu",
    ]  # fmt: skip


def measure(name: str, root: str, turns: int) -> dict[str, float | list[float]]:
    """Train in turns."""
    callback = TakeTurns(partial(by_hand, CASES[name]), CASES[name].steps, turns)
    with tempfile.TemporaryDirectory() as folder:
        fit(flags_of(name, root, folder), callback)
    return callback.result()


if __name__ == "__main__":
    parser = new_parser("loop", __doc__)
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--turns", type=int, default=60)
    options = parser.parse_args()
    results = {name: measure(name, options.root, options.turns) for name in options.models}
    conclude(
        {f"{m}_{key}": value for m, found in results.items() for key, value in found.items()},
        options.out,
    )
