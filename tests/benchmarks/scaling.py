"""Images per second of `fit` on several devices against one, at the same global batch.

    python -m tests.benchmarks.scaling [--configs configs/imagenet_resnet50.yaml] [--devices 1 2 4 8]

Each count of devices trains in processes of its own on images that need no reading, with the config's precision, and
weights shared by DDP. The figure is taken over 50 steps after 20 others. The efficiency is the speed over the count of
devices times that of one; without a GPU a device is a process with one thread, so that two of them have twice the cores
of one: `--device cpu --devices 1 2 --side 64 --batch 32 --classes 10 --no-compile`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import REPOSITORY, conclude, fit, new_parser
from tests.benchmarks.recipe import CONFIGS, Rate, Recipe, add_options


def rate(words: list[str], devices: int, cpu: bool) -> float:
    """Images per second on so many devices, in processes with the same options as this one."""
    command = [sys.executable, "-m", "tests.benchmarks.scaling", *words, "--child", str(devices)]
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if cpu else {})}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.rpartition("RATE ")[2].split()[0])


if __name__ == "__main__":
    parser = new_parser("scaling", __doc__)
    add_options(parser)
    parser.set_defaults(configs=[CONFIGS[-2]])
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", type=int, help="train on so many devices in this process and those that it starts")
    options = parser.parse_args()
    if options.child:
        with tempfile.TemporaryDirectory() as folder:
            words = Recipe.of(options.configs[0], options).words(Path(folder))
            words += [f"--trainer.devices={options.child}", "--trainer.strategy=ddp" if options.child > 1 else ""]
            rate_of_all = Rate()
            fit([word for word in words if word], rate_of_all)
            if os.environ.get("LOCAL_RANK", "0") == "0":
                print("RATE", rate_of_all.images_per_s, flush=True)
    else:
        cpu = options.device == "cpu"
        turns = [{n: rate(sys.argv[1:], n, cpu) for n in options.devices} for _ in range(options.turns)]
        result = {"config": options.configs[0].stem}
        for n in options.devices:
            result[f"images_per_s_on_{n}"] = round(statistics.median(turn[n] for turn in turns), 1)
        for n in options.devices[1:]:
            first = options.devices[0]
            efficiency = statistics.median(turn[n] / n / (turn[first] / first) for turn in turns)
            result[f"efficiency_on_{n}"] = round(efficiency, 3)
        conclude({**result, "turns": options.turns}, options.out)
