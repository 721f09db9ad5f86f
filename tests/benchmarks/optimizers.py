"""Steps to a validation loss by SGD with Nesterov's momentum, AdamW and Muon, with the same budget.

    python -m tests.benchmarks.optimizers --root DIR
    python -m tests.benchmarks.optimizers --root DIR --steps 100 --target 1.3
    --recipe "configs/cifar10_fast.yaml --data.batch_size 128 --model.translate_tta false"
    --sgd 0.1 0.2 --adamw 0.003 0.01 --muon 0.02 0.05 --out cifar.json

`fit` trains the recipe for so many steps, schedule and all, with each optimiser and each rate of
its grid by the first seed; the rate with the least validation loss at the end then trains by the
other seeds. A validation every 25 steps says when the target was reached. AdamW's part of Muon has
the rate that was the best of AdamW alone.
"""

import tempfile
from typing import Any

import lightning as L

from tests.benchmarks import conclude, fit, new_parser
from tests.benchmarks.recipe import words

EVERY = 25  # steps between validations
FLAGS: dict[str, list[str]] = {
    "SGD": ["--optimizer.momentum=0.9", "--optimizer.nesterov=true"],
    "AdamW": [],
    "Muon": [],
}
RATES = {
    "SGD": [0.02, 0.05, 0.1, 0.2],
    "AdamW": [0.001, 0.003, 0.01, 0.03],
    "Muon": [0.01, 0.02, 0.05, 0.1],
}


class Losses(L.Callback):
    """Keeps the validation loss after each number of steps."""

    def __init__(self) -> None:
        self.all: dict[int, float] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.all[trainer.global_step] = float(trainer.callback_metrics["val/loss"])


def train(name: str, rate: float, seed: int, options: Any) -> dict[int, float]:
    """The validation losses of one training."""
    losses = Losses()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "fit", *words(options.recipe), f"--data.root={options.root}", f"--seed_everything={seed}",
            f"--optimizer={name}", *FLAGS[name], f"--optimizer.lr={rate}",
            "--optimizer.weight_decay=0", f"--trainer.max_steps={options.steps}",
            "--trainer.max_epochs=-1", f"--trainer.val_check_interval={EVERY}",
            "--trainer.check_val_every_n_epoch=null", "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false", "--wandb.mode=disabled", f"--runs_dir={folder}",
            "--trainer.enable_checkpointing=false",
        ]  # fmt: skip
        fit(command, losses)
    return losses.all


def measure(name: str, options: Any) -> dict[str, Any]:
    """Steps to the target and final losses of one optimiser with its best rate."""
    grid = {rate: train(name, rate, 0, options) for rate in getattr(options, name.lower())}
    finals = {rate: losses[max(losses)] for rate, losses in grid.items()}
    best = min(finals, key=finals.__getitem__)
    runs = [grid[best], *(train(name, best, seed, options) for seed in range(1, options.seeds))]
    return {
        "grid": {str(rate): round(final, 4) for rate, final in finals.items()},
        "lr": best,
        "steps_to_target": [
            next((step for step, loss in sorted(run.items()) if loss <= options.target), None)
            for run in runs
        ],
        "final_loss": [round(run[max(run)], 4) for run in runs],
    }


if __name__ == "__main__":
    parser = new_parser("optimizers", __doc__)
    parser.add_argument("--root", required=True, help="folder of the dataset")
    parser.add_argument("--recipe", default="configs/mnist_lenet.yaml")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--target", type=float, default=0.08, help="validation loss")
    parser.add_argument("--seeds", type=int, default=3)
    for name, rates in RATES.items():
        parser.add_argument(f"--{name.lower()}", type=float, nargs="+", default=rates, metavar="LR")
    options = parser.parse_args()
    found: dict[str, Any] = {
        key: getattr(options, key) for key in ("recipe", "steps", "target", "seeds")
    }
    for name, flags in FLAGS.items():
        if name == "Muon":
            flags.append(f"--optimizer.adamw_lr={found['AdamW']['lr']}")
        found[name] = measure(name, options)
        print(name, found[name], flush=True)
    conclude(found, options.out)
