"""configs/cifar10_fast.yaml by `fit`, and by hand: all data on the device, one function, no framework."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor

from project.cli.config_files import read_config
from project.cli.main import main
from project.data import CIFAR10
from project.data.transforms.augment import crop, flip
from project.models import Airbench
from project.models.airbench import whitening
from project.optim import Linear, Muon
from tests.benchmarks import REPOSITORY, fit
from tests.benchmarks.turns import now

CONFIG = REPOSITORY / "configs" / "cifar10_fast.yaml"


def batches(
    x: Tensor, y: Tensor, epochs: int, size: int, padding: int, shrink: dict[str, int]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Epoch, images and classes of shuffled, cropped, alternately flipped batches of ``x`` (N, 3, H, W), uint8.

    The first ``shrink["epochs"]`` epochs have images of ``shrink["size"]`` pixels to a side.
    """
    parity = x.long().sum((1, 2, 3)) % 2
    for epoch in range(epochs):
        order = torch.randperm(len(x), device=x.device)
        for index in order.split(size)[: len(order) // size]:
            images = flip(x[index].float(), (parity[index] + epoch) % 2 == 1)
            place = torch.randint(2 * padding + 1, (2, size), device=x.device)
            images = crop(images, padding, *place, mode="reflect")
            if epoch < shrink["epochs"]:
                images = F.interpolate(images, shrink["size"], mode="bilinear", antialias=True)
            yield epoch, images, y[index]


def train_by_hand(
    data: CIFAR10,
    seed: int,
    device: torch.device,
    epochs: int,
    compiled: bool,
    widths: list[int],
    clock: Callable[[int], None],
) -> float:
    """Train and give the accuracy on the test set; ``clock`` is told each step when it has been given to the device."""
    content = read_config(CONFIG)
    recipe, arguments = content["optimizer"]["init_args"], content["model"]["init_args"]
    size, schedule = (
        content["data"]["init_args"]["batch_size"],
        Linear(**content["lr_schedule"].get("init_args", {})),
    )
    torch.manual_seed(seed)
    model = Airbench(num_classes=10, input_shape=(3, 32, 32), widths=tuple(widths), **arguments)
    model = model.to(device, memory_format=torch.channels_last).train()
    mean, std = data.statistics(device)
    x, y = (part[data.train_indices].to(device) for part in (data.train_set.x, data.train_set.y))
    steps = epochs * (len(x) // size)
    trained = {name: p for name, p in model.blocks.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for name, p in trained.items() if ".bn" not in name]},
        {"params": [model.whiten.bias, model.head.weight], "use_muon": False},
        {"params": [p for name, p in trained.items() if ".bn" in name]},
    ]
    optimizer = Muon(groups, fused=True, **recipe)
    norms = optimizer.param_groups[-1]
    norms["lr"] *= model.bias_lr
    norms["weight_decay"] /= model.bias_lr
    rates = [group["lr"] for group in optimizer.param_groups]
    smoothing = content["objective"]["init_args"]["label_smoothing"]
    bf16 = "bf16" in content["trainer"]["precision"]

    def loss_of(images: Tensor, classes: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return F.cross_entropy(model(images), classes, label_smoothing=smoothing)

    loss_of = torch.compile(loss_of) if compiled else loss_of
    shrink = content["data"]["init_args"]["augment"][-1]["init_args"]
    drawn = batches(x, y, epochs, size, padding=2, shrink=shrink)
    for step, (epoch, images, classes) in enumerate(drawn):
        if step == 0:
            clock(0)
        images = images.sub_(mean).div_(std)
        if step == 0:
            model.whiten.weight.data.copy_(whitening(images))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule((step + 0.5) / steps)
        optimizer.zero_grad()
        loss_of(images, classes).backward()
        if epoch >= model.whiten_epochs:
            model.whiten.bias.grad = None
        optimizer.step()
        clock(step + 1)
    data.setup("test")
    model.eval()
    hits = 0
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for images, classes in zip(
            data.test_set.x.split(2000), data.test_set.y.split(2000), strict=True
        ):
            images = images.to(device).float().sub_(mean).div_(std)
            hits += int((model.eval_outputs(images).argmax(1).cpu() == classes).sum())
    return hits / len(data.test_set.y)


class Clock:
    """Seconds of a training without its first steps, in which things are compiled and caches filled.

    Args:
        device: Whose work is waited for.
        steps: Of the training.
        warmup: Steps at its start that do not count.
    """

    def __init__(self, device: torch.device, steps: int, warmup: int = 10) -> None:
        self.device, self.steps, self.warmup = device, steps, warmup

    def __call__(self, step: int) -> None:
        if step == 0:
            self.start = now(self.device)
        if step == self.warmup:
            self.warm = now(self.device)
        if step == self.steps:
            self.end = now(self.device)

    @property
    def seconds(self) -> float:
        """Seconds of all steps, as if the first had taken as long as the others."""
        return (self.end - self.warm) * self.steps / (self.steps - self.warmup)

    @property
    def warmup_seconds(self) -> float:
        """From the first batch to the end of the warm-up."""
        return self.warm - self.start


class Watch(L.Callback):
    """Starts a clock at the first batch of `fit`, and stops it when the last epoch is validated and saved."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.clock, self.data = (
            Clock(pl_module.device, int(trainer.estimated_stepping_batches)),
            trainer.datamodule,
        )

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == 0:
            self.clock(0)

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step < self.clock.steps:
            self.clock(trainer.global_step)

    def on_train_end(self, trainer: L.Trainer, *_: object) -> None:
        self.clock(trainer.global_step)


def take_turn(
    root: str, epochs: int, seed: int, device: str, widths: list[int]
) -> dict[str, float]:
    """Seconds and test accuracy of `fit`, then of the hand-written loop."""
    watch, compiled = Watch(), device == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        words = [
            f"--config={CONFIG}", f"--model.widths={widths}", f"--data.root={root}", f"--seed_everything={seed}",
            f"--trainer.max_epochs={epochs}", f"--trainer.check_val_every_n_epoch={epochs}",
            f"--model.compile={str(compiled).lower()}", f"--trainer.accelerator={device}", "--trainer.devices=1",
            "--wandb.mode=offline", f"--runs_dir={folder}", "--adapt_to_machine=false",
        ]  # fmt: skip
        fit(["fit", *words], watch)
        main(["test", "--run", f"{folder}/cifar10_fast", "--wandb.mode=disabled"])
        [tested] = Path(folder).glob("cifar10_fast/*/tests.jsonl")
        accuracy = json.loads(tested.read_text())["test/acc"]
    clock = Clock(torch.device(device), watch.clock.steps)
    accuracy_by_hand = train_by_hand(
        watch.data, seed, torch.device(device), epochs, compiled, widths, clock
    )
    return {
        "ours_s": watch.clock.seconds,
        "ours_accuracy": accuracy,
        "ours_warmup_s": watch.clock.warmup_seconds,
        "reference_s": clock.seconds,
        "reference_accuracy": accuracy_by_hand,
        "reference_warmup_s": clock.warmup_seconds,
    }
