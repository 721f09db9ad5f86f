"""All that is to be measured on a GPU, by one command in 25 minutes.

    python -m tests.benchmarks.one_gpu --root DIR --out FOLDER

In this order, each part within its share of the time: steps against a hand-written loop
(`tests.benchmarks.gpu`), configs/cifar10_fast.yaml with five seeds, 200 epochs of ResNet-18 on
CIFAR-10, training with fsdp2, and a run that is killed and goes on, compiled and in bfloat16. A part
that fails or takes too long is noted, and the next one begins. FOLDER gets the runs, `gpu.json`,
the JSON files and the table of `python -m project results`, and `one_gpu.json`, which says what ran
and how it ended. `--toy` tries it all in about ten minutes on a CPU.
"""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import REPOSITORY, write
from tests.benchmarks.recipe import CIFAR

FAST, RESNET = "--config configs/cifar10_fast.yaml", f"--config {CIFAR[0]}"
STEPS = '--recipes configs/imagenet_resnet50.yaml "configs/cifar_resnet18.yaml"'
QUIET = "--trainer.enable_progress_bar false --trainer.enable_model_summary false"
# In place of a GPU's work.
TOY = (
    "--trainer.limit_train_batches 2 --trainer.limit_val_batches 1 "
    "--trainer.max_epochs 2 --trainer.check_val_every_n_epoch 1 --data.batch_size 8 "
    "--trainer.accelerator cpu --adapt_to_machine false --trainer.precision 32-true"
)
TOY_STEPS = "--device cpu --side 64 --classes 10 --no-compile --batch 4 --steps 1 --turns 3"


def parts(options: argparse.Namespace) -> list[tuple[str, float, list[str]]]:
    """The name of each part, its seconds, and the command lines of Python."""
    folder, toy = options.out / "runs", TOY if options.toy else ""
    common = (
        f"{QUIET} --data.root {shlex.quote(options.root)} --runs_dir {shlex.quote(str(folder))}"
    )
    common += f" --wandb.mode disabled {toy}"
    fit, test = "-m project fit", "-m project test --wandb.mode disabled"
    compiled = "" if options.toy else "--model.compile true"
    steps = TOY_STEPS if options.toy else "--turns 5"
    seeds = range(2 if options.toy else 5)
    return [
        (
            "steps",
            330,
            [f"-m tests.benchmarks.gpu {STEPS} {steps} --out {options.out / 'gpu.json'}"],
        ),
        (
            "cifar10_fast",
            330,
            [
                line
                for seed in seeds
                for line in (
                    f"{fit} {FAST} {common} --seed_everything {seed}",
                    f"{test} --run {folder / 'cifar10_fast'}",
                )
            ],
        ),
        (
            "cifar_resnet18",
            600,
            [f"{fit} {RESNET} {common} {compiled}", f"{test} --run {folder / 'cifar_resnet18'}"],
        ),
        (
            "fsdp2",
            60,
            [
                f"{fit} {RESNET} {common} --trainer.strategy fsdp2 --experiment fsdp2 "
                "--trainer.max_epochs 1 --model.channels_last false"
            ],
        ),
        (
            "kill_and_resume",
            180,
            [
                f"-m tests.kill_and_resume --kills 2 --folder {folder / 'killed'} -- {FAST} {QUIET} "
                f"--data.root {shlex.quote(options.root)} --wandb.mode disabled {toy} {compiled} "
                "--last_checkpoint.every_n_steps 1"
            ],
        ),
    ]


def measure(seconds: float, lines: list[str]) -> dict[str, Any]:
    """Run the command lines of a part one after the other, until one fails or the time is over."""
    began, commands, said = time.monotonic(), [], ""
    for line in lines:
        commands.append(f"python {line}")
        left = seconds - (time.monotonic() - began)
        command = [sys.executable, *shlex.split(line)]
        try:
            done = subprocess.run(
                command, cwd=REPOSITORY, timeout=max(left, 1), capture_output=True, text=True
            )
            ended = "well" if done.returncode == 0 else f"with status {done.returncode}"
            said = (done.stdout + done.stderr)[-2000:]
        except subprocess.TimeoutExpired:
            ended = f"not within {seconds:.0f} s"
        if ended != "well":
            break
    passed = round(time.monotonic() - began, 1)
    result: dict[str, Any] = {"ended": ended, "seconds": passed, "commands": commands}
    return result if ended == "well" else {**result, "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.one_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", required=True, help="folder of CIFAR-10")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--toy", action="store_true", help="try it on a CPU")
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, seconds, lines in parts(options):
        found[name] = measure(seconds * (10 if options.toy else 1), lines)
        print(name, found[name]["ended"], found[name]["seconds"], "s", flush=True)
        write({"parts": found}, options.out / "one_gpu.json")
    runs = [str(options.out / "runs" / name) for name in ("cifar10_fast", "cifar_resnet18")]
    table = options.out / "table.md"
    table.write_text("<!-- results: begin -->\n<!-- results: end -->\n")
    words = ["results", *runs, "--folder", str(options.out / "results"), "--readme", str(table)]
    status = subprocess.run([sys.executable, "-m", "project", *words], cwd=REPOSITORY).returncode
    sys.exit(status or int(any(part["ended"] != "well" for part in found.values())))


if __name__ == "__main__":
    main()
