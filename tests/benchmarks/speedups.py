"""The gain of each patch in `project/run/speedups.py`, per training step of the smallest MLP.

    python -m tests.benchmarks.speedups --root DIR [--rounds 60] [--steps 50]

`fit` trains the MLP 784-64-128-64-10 of `loop` on MNIST in memory with batches of 128. A round has
a turn of 50 steps with all patches, a turn with each patch off, and a turn with all off, in another
order each round, in one process. Validation and the first two rounds are not timed. The gain of a
patch is the median over all rounds of the time without it over the time with all patches, less 1; a
patch that gains less than 5 % is not worth its lines.
"""

import random
import statistics
import tempfile
from contextlib import ExitStack

import lightning as L

from project.run import speedups
from tests.benchmarks import conclude, fit, new_parser
from tests.benchmarks.loop import flags_of
from tests.benchmarks.turns import now

WARMUP = 2  # rounds


class Rounds(L.Callback):
    """Trains turns with all patches, with each of them off, and with none.

    Args:
        patches: The patches, none of which is applied yet.
        steps: Steps of a turn.
        rounds: Rounds that are timed.
    """

    def __init__(self, patches: list[speedups.Patch], steps: int, rounds: int) -> None:
        names = [patch.__name__ for patch in patches]
        self.on = {"all": patches, "none": []}
        self.on |= {name: [p for p in patches if p.__name__ != name] for name in names}
        self.steps, self.rounds, self.order = steps, rounds, random.Random(0)
        self.seconds: list[dict[str, float]] = []  # per step, by what is off
        self.turns: list[str] = []  # to come in this round
        self.undo = ExitStack()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin_turn(trainer, pl_module)  # one that the epoch's end cut off begins again

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object
    ) -> None:
        self.done += 1
        if self.done == self.steps:
            seconds = (now(pl_module.device) - self.start) / self.steps
            self.seconds[-1][self.turns.pop()] = seconds
            trainer.should_stop = len(self.seconds) == self.rounds + WARMUP and not self.turns
            self.begin_turn(trainer, pl_module)

    def begin_turn(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.turns:
            self.turns = self.order.sample(list(self.on), len(self.on))
            self.seconds.append({})
        self.undo.close()
        for patch in self.on[self.turns[-1]]:
            self.undo.callback(patch(trainer, pl_module))
        self.done, self.start = 0, now(pl_module.device)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.undo.close()

    def result(self) -> dict[str, float]:
        """Microseconds of a step with all patches, and the gain of each and of all together."""
        rounds = self.seconds[WARMUP : WARMUP + self.rounds]
        found = {"us_per_step": round(statistics.median(r["all"] for r in rounds) * 1e6, 1)}
        for name in self.on.keys() - {"all"}:
            gain = statistics.median(r[name] / r["all"] for r in rounds) - 1
            found["gain_of_all" if name == "none" else f"gain_of_{name}"] = round(gain, 4)
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def measure(words: list[str], steps: int, rounds: int) -> dict[str, float]:
    """Train by a command line of `fit`, with patches that the callback turns on and off."""
    patches = list(speedups.PATCHES)
    callback = Rounds(patches, steps, rounds)
    speedups.PATCHES.clear()
    try:
        fit(words, callback)
    finally:
        speedups.PATCHES.extend(patches)
    return callback.result()


if __name__ == "__main__":
    parser = new_parser("speedups", __doc__)
    parser.add_argument("--root", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=50, help="of a turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = flags_of("mlp", options.root, folder)
        conclude(measure(words, options.steps, options.rounds), options.out)
