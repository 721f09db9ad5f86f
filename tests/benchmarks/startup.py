"""How long a command takes before it does anything.

    python -m tests.benchmarks.startup [--turns 7]

Times whole processes in turns: `python -m project --help` against `python -c "from
lightning.pytorch.cli import LightningCLI"`, which every such template pays, and `fit` on the digits
up to the end of its first training step, where it is cut off, against the same import cut off.
Figures are medians over the turns, ratios those of each turn's pair. The first turn fills caches
and is left out.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks import REPOSITORY, conclude, new_parser

COMMANDS = {
    "import_lightning_cli": ["-c", "from lightning.pytorch.cli import LightningCLI"],
    "import_cut_off": [
        "-c",
        "from lightning.pytorch.cli import LightningCLI; import os; os._exit(0)",
    ],
    "help": ["-m", "project", "--help"],
    "fit_help": ["-m", "project", "fit", "--help"],
    "first_step": [
        "-m",
        "project",
        "fit",
        "--trainer.callbacks+=tests.benchmarks.startup.StopAtFirstStep",
    ],
}


def __getattr__(name: str) -> type:
    """The callback, without Lightning's import in the process that only measures."""
    if name != "StopAtFirstStep":
        raise AttributeError(name)
    import lightning as L

    class StopAtFirstStep(L.Callback):
        """Ends the process once a batch has been trained."""

        def on_train_batch_end(self, *_: object) -> None:
            os._exit(0)

    StopAtFirstStep.__qualname__ = name
    globals()[name] = StopAtFirstStep
    return StopAtFirstStep


def seconds(command: list[str], folder: str) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WANDB_MODE": "disabled"}
    subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = new_parser("startup", __doc__)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        turns = [
            {n: seconds(c, folder) for n, c in COMMANDS.items()} for _ in range(options.turns + 1)
        ][1:]
    result = {
        f"{name}_s": round(statistics.median(turn[name] for turn in turns), 2) for name in COMMANDS
    }
    imports = "import_lightning_cli"
    for name, reference in {
        "help": imports,
        "fit_help": imports,
        "first_step": "import_cut_off",
    }.items():
        result[f"{name}_to_{reference}"] = round(
            statistics.median(t[name] / t[reference] for t in turns), 3
        )
    conclude({**result, "turns": len(turns)}, options.out)
