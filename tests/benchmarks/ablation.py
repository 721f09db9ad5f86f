"""What each part of a fast recipe gives: the recipe as it is, and with one part less or another at a time.

    python -m tests.benchmarks.ablation --root DIR

`fit` trains each by one seed on 90 % of the training images and validates on the others after the
last epoch. The test set is not used.
"""

import tempfile
from typing import Any

from project.analysis.run_result import RunResult
from project.cli.main import run_command
from tests.benchmarks import measure_each, new_parser
from tests.benchmarks.recipe import words

# The recipe of "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (Jordan, 2024).
SGD = (
    "--optimizer SGD --optimizer.lr 1.5 --optimizer.momentum 0.85 --optimizer.nesterov true "
    "--optimizer.weight_decay 0.00133 --model.bias_lr 64 --lr_schedule.warmup 0.23 "
    "--lr_schedule.initial 0.2 --lr_schedule.final 0.07 --trainer.callbacks+=project.callbacks.Lookahead"
)
VARIANTS = {
    "configs/imagenette_fast.yaml": {
        "as it is": "",
        "SGD for Muon": (
            "--optimizer SGD --optimizer.lr 0.1 --optimizer.momentum 0.85 --optimizer.nesterov true "
            "--optimizer.weight_decay 0.00133 --model.bias_lr 64"  # Jordan's, for a batch of 64
        ),
        "whitening as for CIFAR-10": "--model.whiten_eps 0.0005",
        "blocks of 128, 256 and 512 channels": "--model.widths [128,256,512]",
        "two convolutions in a block": "--model.residual false",
        "128 pixels from the start": "--data.start_size null",
        "no label smoothing": "--objective.label_smoothing 0",
        "ResNet-18 with the stem of ResNet-D": (
            "--model ResNet --model.stem deep --model.zero_init_residual true "
            "--model.channels_last true --optimizer.lr 0.1"
        ),
    },
    "configs/cifar10_fast.yaml": {
        "as it is": "",
        "SGD and Lookahead for Muon": SGD,
        "ten epochs of 32 pixels": (
            "--data.augment.epochs 0 --trainer.max_epochs 10 --trainer.check_val_every_n_epoch 10"
        ),
        "one view in evaluation": "--model.flip_tta false --model.translate_tta false",
    },
}


def measure(flags: str, options: Any) -> dict[str, Any]:
    """Accuracy and seconds of a recipe with flags."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "fit", *words(f"{options.recipe} {flags}"), f"--data.root={options.root}",
            f"--seed_everything={options.seed}", "--data.val_size=0.1", f"--runs_dir={folder}",
            "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false",
            "--wandb.mode=disabled",
        ]  # fmt: skip
        done = run_command(command)
        seconds = RunResult(done.run).seconds
    accuracy, loss = (round(done.result[f"val/{name}"], 4) for name in ("acc", "loss"))
    return {"flags": flags, "val/acc": accuracy, "val/loss": loss, "seconds": round(seconds)}


def main() -> None:
    parser = new_parser("ablation", __doc__)
    parser.add_argument("--root", required=True, help="folder of the dataset")
    parser.add_argument("--recipe", choices=VARIANTS, default=next(iter(VARIANTS)))
    parser.add_argument("--variants", nargs="+", help="those to train; without it, all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    variants = VARIANTS[options.recipe]
    chosen = options.variants or list(variants)
    measure_each(chosen, lambda name: measure(variants[name], options), options.out)


if __name__ == "__main__":
    main()
