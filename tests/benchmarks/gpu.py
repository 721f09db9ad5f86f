"""Images per second of each recipe on a GPU, against a hand-written loop, and how long the GPU waits.

    python -m tests.benchmarks.gpu [--recipes configs/imagenet_resnet50.yaml
    "configs/imagenet_resnet50.yaml --model.depth 18" ...] [--root DIR] [--turns 10] [--steps 20]

For each recipe `fit` and the loop take turns in one process on images that need no reading, both
compiled, in bfloat16, with channels last; the loop has torchvision's network and SGD's fused
kernel, copies uint8 images from pinned memory and normalises them on the GPU, as `fit` does.
Compiling and the first two turns are not counted.

The GPU's waiting is the share of 100 profiled steps in which none of its kernels runs, whatever is
copied; it is measured on the same images and, with --root, on the recipe's real dataset. `--device
cpu --side 64 --batch 8 --classes 10 --steps 2` tries the rest without a GPU.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from torch.profiler import ProfilerActivity, profile

from tests.benchmarks import measure_each, new_parser
from tests.benchmarks.recipe import Recipe, add_options
from tests.benchmarks.turns import ByHand, TakeTurns, now


class Waiting(L.Callback):
    """Images per second over 100 steps after 100 others, then the share of 100 more in which the GPU does nothing."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.device, self.times = pl_module.device, []

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        step = trainer.global_step
        if step in (100, 200):
            self.times.append(now(self.device))
        if step == 200:
            self.rate = 100 * trainer.datamodule.batch_size / (self.times[1] - self.times[0])
            self.profile = profile(activities=[ProfilerActivity.CUDA])
            self.profile.start()
        if step == 300:
            now(self.device)
            self.profile.stop()
            self.share = waiting(self.profile.events())
            trainer.should_stop = True


def waiting(events: Iterable[Any]) -> float:
    """Share of the time from the first kernel's start to the last one's end in which none runs."""
    on_device = [e for e in events if e.device_type.name == "CUDA" and not e.is_user_annotation]
    kernels = [e.time_range for e in on_device if not e.name.startswith(("Memcpy", "Memset"))]
    spans = sorted((time.start, time.end) for time in kernels)
    busy, end = 0.0, spans[0][0]
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return 1 - busy / (end - spans[0][0])


def by_hand(recipe: Recipe, trainer: L.Trainer) -> dict[str, ByHand]:
    return {"hand": recipe.by_hand(trainer.datamodule, Path(trainer.default_root_dir))}


def measure(name: str, options: Any) -> dict[str, Any]:
    """All figures of a recipe."""
    recipe = Recipe.of(name, options)
    turns = TakeTurns(partial(by_hand, recipe), options.steps, options.turns)
    recipe.fit(turns)
    found = {
        "batch": recipe.batch,
        "side": recipe.shape[1],
        "compiled": recipe.compile,
        **turns.result(),
    }
    for name in ("fit", "hand"):
        found[f"{name}_images_per_s"] = round(recipe.batch / found[f"{name}_us_per_step"] * 1e6, 1)
    found["throughput_to_hand"] = round(1 / found["ratio_to_hand"], 3)
    if recipe.device == "cuda":
        for name, real in {
            "synthetic": None,
            **({"real": options.root} if options.root else {}),
        }.items():
            observer = Waiting()
            recipe.fit(observer, real=real)
            found |= {
                f"{name}_images_per_s": round(observer.rate, 1),
                f"{name}_waiting": round(observer.share, 4),
            }
    return found


if __name__ == "__main__":
    parser = new_parser("gpu", __doc__)
    add_options(parser)
    parser.add_argument("--root", help="folder of the real datasets of these recipes")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    measure_each(options.recipes, partial(measure, options=options), options.out)
