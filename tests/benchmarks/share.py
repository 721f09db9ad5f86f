"""The share of each epoch that is not the model's work.

    python -m tests.benchmarks.share --root DIR [--recipes configs/mnist_lenet.yaml ...] [--turns 3]

Times, within a `fit` with all its defaults, forward and loss, backward and the optimiser's kernel,
and compares them with the whole of all epochs: reading, augmentation, metrics, logging, callbacks,
validation's own overhead and checkpoints are the rest. The first epoch warms up and is left out. In
turns with it runs a `fit` that saves after each epoch, as it once did, and not only as often as
that takes a twentieth of the time. What the rest is made of, `fit --config
configs/with/profiler.yaml` prints for any recipe.

It is for the CPU, where a function has ended when it returns; `tests.benchmarks.gpu` has the GPU's
waiting.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import lightning as L

from project.callbacks import LastCheckpoint
from tests.benchmarks import fit, measure_each, new_parser
from tests.benchmarks.recipe import words

RECIPES = [f"configs/{name}.yaml" for name in ("digits", "mnist_mlp", "mnist_lenet")]


class Stopwatch(L.Callback):
    """Seconds of each epoch in all, and of what the model does in it."""

    def __init__(self) -> None:
        self.inside = 0.0
        self.epochs: list[tuple[float, float]] = []
        self.began: float | None = None

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose time counts as the model's."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.inside += time.perf_counter() - start

        return run

    def around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """An optimiser's step, of which what it calls in between does not count as its own."""

        def run(closure: Callable[[], Any]) -> Any:
            def outside() -> Any:
                start = time.perf_counter()
                result = closure()
                self.inside -= time.perf_counter() - start
                return result

            return self.timed(step)(outside)

        return run

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.loss, pl_module.eval_outputs = (
            self.timed(pl_module.loss),
            self.timed(pl_module.eval_outputs),
        )
        pl_module.backward = self.timed(pl_module.backward)

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        optimizer = trainer.optimizers[0]
        optimizer.step = self.around(optimizer.step)  # type: ignore[method-assign]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        now = time.perf_counter()
        if self.began is not None:
            self.epochs.append((now - self.began, self.inside))
        self.began, self.inside = now, 0.0


def share(recipe: str, root: str, saving: float) -> float:
    """Shares of one training, of whose time ``saving`` may go to saving after epochs."""
    watch = Stopwatch()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(LastCheckpoint, "max_fraction", saving),
    ):
        fit(
            ["fit", *words(recipe), f"--data.root={root}", f"--runs_dir={folder}", "--wandb.mode=offline",
             "--trainer.accelerator=cpu"],
            watch,
        )  # fmt: skip
    whole, inside = (sum(seconds) for seconds in zip(*watch.epochs[1:], strict=True))
    return 1 - inside / whole


def measure(recipe: str, root: str, turns: int) -> dict[str, Any]:
    """Shares of one recipe, medians over the turns."""
    found = [
        (share(recipe, root, 1e9), share(recipe, root, LastCheckpoint.max_fraction))
        for _ in range(turns)
    ]
    before, after = (round(statistics.median(shares), 4) for shares in zip(*found, strict=True))
    return {"saving_each_epoch": before, "not_model_share": after, "turns": turns}


if __name__ == "__main__":
    parser = new_parser("share", __doc__)
    parser.add_argument("--root", required=True, help="folder that holds the datasets")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    measure_each(
        options.recipes, partial(measure, root=options.root, turns=options.turns), options.out
    )
