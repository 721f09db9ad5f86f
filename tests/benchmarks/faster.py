"""What makes a training step faster, one thing after another.

    python -m tests.benchmarks.faster [--recipes configs/imagenet_resnet50.yaml] [--turns 3]
    [--steps 20]

Trains a recipe by `fit` on images that need no reading, first in float32 (of which cuDNN's
convolutions make TF32) with the usual memory layout and PyTorch's own choice of the optimiser's
kernels, then with one change more each time: the fused kernel, channels last, bfloat16, the
compiled loss. Each time is a `fit` of its own, they take turns, and each gain is the median over
the turns of the images/s over those of the change before. `--device cpu --batch 64 --recipes
configs/cifar_resnet18.yaml` does without a GPU.
"""

import statistics

from tests.benchmarks import conclude, new_parser
from tests.benchmarks.recipe import RECIPES, Rate, Recipe, add_options

CHANGES = {
    "usual": ["--model.compile=false", "--trainer.precision=32-true", "--model.channels_last=false"],
    "fused": ["--optimizer.foreach=false", "--optimizer.fused=true"],
    "channels_last": ["--model.channels_last=true"],
    "bf16": ["--trainer.precision=bf16-mixed"],
    "compiled": ["--model.compile=true"],
}  # fmt: skip


def rates(recipe: Recipe, steps: int) -> dict[str, float]:
    """Images per second with each change and those before it."""
    chosen = "foreach" if recipe.device == "cuda" else "fused"  # by PyTorch, from what it is told
    found, flags = {}, [f"--optimizer.{chosen}={str(chosen == 'foreach').lower()}"]
    for name, change in CHANGES.items():
        flags += change
        if name == "compiled" and not recipe.compile:
            break
        rate = Rate(5, steps)
        recipe.fit(rate, flags=flags)
        found[name] = rate.images_per_s
    return found


if __name__ == "__main__":
    parser = new_parser("faster", __doc__)
    add_options(parser)
    parser.set_defaults(recipes=RECIPES[:1])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    recipe = Recipe.of(options.recipes[0], options)
    turns = [rates(recipe, options.steps) for _ in range(options.turns)]
    result: dict[str, object] = {
        "recipe": options.recipes[0],
        "batch": recipe.batch,
        "side": recipe.shape[1],
    }
    names = list(turns[0])
    for before, name in zip([None, *names], names, strict=False):
        result[f"{name}_images_per_s"] = round(statistics.median(turn[name] for turn in turns), 1)
        if before:
            result[f"{name}_gain"] = round(
                statistics.median(turn[name] / turn[before] for turn in turns), 2
            )
    conclude({**result, "turns": options.turns}, options.out)
