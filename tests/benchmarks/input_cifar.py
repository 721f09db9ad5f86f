"""How fast CIFAR-10 reaches the network, against torchvision's per-image pipeline.

    python -m tests.benchmarks.input_cifar --root DIR [--turns 8]

Both give normalised batches of 512 after a padded random crop and a random flip, in one process:
the datamodule by its own loader and transfer hook, torchvision by `CIFAR10` with PIL images and a
`DataLoader` of 0 workers. They take turns.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from project.data import CIFAR10
from project.data.transforms.augment import Crop, Flip
from tests.benchmarks import conclude, new_parser

BATCH = 512


def ours(root: str) -> Iterator[torch.Tensor]:
    """Batches of the datamodule without end, as a Trainer would get them."""
    data = CIFAR10(root=root, batch_size=BATCH, augment=[Crop(4), Flip()])
    data.trainer = SimpleNamespace(
        world_size=1,
        global_rank=0,
        accumulate_grad_batches=1,
        training=True,
        current_epoch=0,
        fit_loop=SimpleNamespace(total_batch_idx=0),
    )  # type: ignore[assignment]
    data.prepare_data()
    data.setup("fit")
    loader, cpu = data.train_dataloader(), torch.device("cpu")
    while True:
        for batch in loader:
            x, _ = data.on_after_batch_transfer(data.transfer_batch_to_device(batch, cpu, 0), 0)
            data.trainer.fit_loop.total_batch_idx += 1
            yield x


def torchvisions(root: str) -> Iterator[torch.Tensor]:
    """The same the usual way."""
    steps = [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(CIFAR10.mean, CIFAR10.std),
    ]
    images = datasets.CIFAR10(root, transform=transforms.Compose(steps))
    loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True)
    while True:
        yield from (x for x, _ in loader)


def rate(batches: Iterator[torch.Tensor], seconds: float) -> float:
    """Images per second over at least so long."""
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        count += len(next(batches))
    return count / elapsed


def compare(pipelines: dict[str, Callable[[], float]], turns: int) -> dict[str, float]:
    """Median images per second of each, taking turns after one that is not counted."""
    times = [{name: measure() for name, measure in pipelines.items()} for _ in range(turns + 1)]
    return {name: statistics.median(turn[name] for turn in times[1:]) for name in pipelines}


if __name__ == "__main__":
    parser = new_parser("input_cifar", __doc__)
    parser.add_argument("--root", required=True, help="folder that holds cifar-10-batches-py")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=8)
    options = parser.parse_args()
    sources = {"ours": ours(options.root), "torchvision": torchvisions(options.root)}
    rates = compare(
        {k: partial(rate, s, options.seconds) for k, s in sources.items()}, options.turns
    )
    result = {
        **{f"{name}_images_per_s": round(value) for name, value in rates.items()},
        "ratio": round(rates["ours"] / rates["torchvision"], 2),
        "batch": BATCH,
    }
    conclude(result, options.out)
