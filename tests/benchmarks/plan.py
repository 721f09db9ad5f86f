"""What to expect of 8 to 1,024 GPUs, computed from a few stated figures; nothing here is measured.

    python -m tests.benchmarks.plan [--images_per_s 2900] [--network_GB_per_s 25] ...

Prints the table of configs/README.md for ResNet-50 on ImageNet. Machines have eight GPUs. An
all-reduce of the gradients is a ring inside of each machine and one between the machines, and hides
behind the backward pass, two thirds of the computing. A step cannot be shorter than what it takes to
launch its kernels.
"""

import argparse
from dataclasses import dataclass

GPUS = (8, 16, 64, 256, 1024)
PER_MACHINE = 8
TRAIN, VAL = 1_281_167, 50_000
PARAMETERS, BATCH = 25_557_032, 256  # of ResNet-50 and of its recipe
BACKWARD = 2 / 3  # of a step's computing
DEFAULTS = {
    "images_per_s": (2900, "of one GPU: an A100 in bfloat16, by the times of ffcv-imagenet"),
    "least_step_ms": (15, "of a step with few images"),
    "links_GB_per_s": (230, "between the GPUs of a machine: NVLink of A100s"),
    "network_GB_per_s": (25, "between machines, in each direction: 200 Gb/s"),
    "latency_us": (10, "of one exchange of a ring"),
    "images_per_core": (1560, "read from a cache of 256 pixels (results/input_imagenet.json)"),
    "image_KB": (25, "of one image of that cache"),
    "storage_GB_per_s": (10, "that shared storage gives to all machines together"),
    "disk_GB_per_s": (1, "at which a checkpoint is written"),
    "validation_s": (2, "that a validation takes besides computing"),
}


@dataclass
class Step:
    """A step of so many GPUs with a global batch; times in seconds."""

    gpus: int
    batch: int
    options: argparse.Namespace

    @property
    def computing(self) -> float:
        local = self.batch / self.gpus
        return max(local / self.options.images_per_s, self.options.least_step_ms / 1e3)

    @property
    def all_reduce(self) -> float:
        machines, o = self.gpus / PER_MACHINE, self.options
        inside, between = 2 * (1 - 1 / PER_MACHINE), 2 * (1 - 1 / machines)
        gigabytes = 4 * PARAMETERS / 1e9
        moving = gigabytes * (inside / o.links_GB_per_s + between / o.network_GB_per_s)
        exchanges = 2 * (PER_MACHINE - 1) + 2 * (machines - 1)
        return float(moving + exchanges * o.latency_us / 1e6)

    @property
    def seconds(self) -> float:
        return self.computing + max(0.0, self.all_reduce - BACKWARD * self.computing)

    @property
    def epoch(self) -> float:
        return TRAIN / self.batch * self.seconds

    @property
    def efficiency(self) -> float:
        """The speed against that of GPUs that only compute, with enough images each."""
        return self.batch / self.seconds / (self.gpus * self.options.images_per_s)

    @property
    def reading(self) -> float:
        """Gigabytes that all machines read in a second."""
        return self.batch / self.seconds * self.options.image_KB / 1e6

    @property
    def limits(self) -> list[str]:
        """What takes a tenth of the time or more, or more than there is."""
        o = self.options
        checkpoint = 2 * 4 * PARAMETERS / 1e9 / o.disk_GB_per_s  # weights and momentum
        validation = VAL / (3 * self.gpus * o.images_per_s) + o.validation_s
        found = {
            "few images for each GPU": self.batch / self.gpus / o.images_per_s
            < 0.9 * self.computing,
            "network": self.seconds > 1.1 * self.computing,
            "shared storage": self.reading > o.storage_GB_per_s,
            "checkpoint of each epoch": checkpoint > 0.1 * self.epoch,
            "validation of each epoch": validation > 0.1 * self.epoch,
        }
        return [name for name, limiting in found.items() if limiting]


def table(options: argparse.Namespace) -> list[str]:
    """The lines of the table: the recipe's global batch, then 128 images for each GPU."""
    head = (
        "GPUs", "global batch", "computing", "all-reduce", "step", "efficiency", "epoch", "reading",
        "what limits",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for gpus, batch in [(8, BATCH), (64, BATCH), *((gpus, 128 * gpus) for gpus in GPUS)]:
        step = Step(gpus, batch, options)
        times = [step.computing, step.all_reduce, step.seconds]
        cells = [
            f"{gpus:,}", f"{step.batch:,}", *(f"{1e3 * t:.0f} ms" for t in times),
            f"{step.efficiency:.2f}", f"{step.epoch:.3g} s", f"{step.reading:.2g} GB/s",
            ", ".join(step.limits),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def options(words: list[str] | None = None) -> argparse.Namespace:
    """The figures, by default those of DEFAULTS."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, (value, what) in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{what} ({value})")
    return parser.parse_args(words)


if __name__ == "__main__":
    chosen = options()
    print("\n".join(table(chosen)))
    cores = chosen.images_per_s / chosen.images_per_core
    print(f"\n{cores:.1f} cores for each GPU decode its images.")
