"""What a network is made of: its layers, their output shapes, parameters and multiply-adds, without data."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from project.data import ImageDataModule
from project.models import ImageClassifier
from project.models.weights import weights_superseded

LINKED = ("num_classes", "input_shape", "optimizer", "lr_schedule")


@dataclass
class Layer:
    """A row of the table.

    Attributes:
        name: As in the state dict.
        kind: Its class.
        shape: Of the output for one image, without the batch; None if it only takes part in training.
        parameters: Number of them, of all that is inside.
        multiply_adds: Of convolutions and matrix products for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int


def build(settings: Any) -> ImageClassifier:
    """The model of a parsed config on the meta device, where it takes neither memory nor time."""
    data: type[ImageDataModule] = imported(settings.data.class_path)
    arguments = settings.model.init_args.as_dict()
    options = {name: value for name, value in arguments.items() if name not in LINKED}
    num_classes = settings.num_classes or data.num_classes
    input_shape = settings.input_shape or data.shape_of(settings.data.init_args.as_dict())
    with torch.device("meta"), weights_superseded():
        return imported(settings.model.class_path)(num_classes=num_classes, input_shape=input_shape, **options)


def imported(path: str) -> Any:
    """The object at an import path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def layers(model: ImageClassifier, depth: int = 2) -> list[Layer]:
    """The parts of a model on the meta device in the order of its state dict, the model itself last.

    Args:
        model: Any classifier.
        depth: How deep parts within parts are shown.
    """
    parts = {
        name: part
        for name, part in model.named_modules()
        if name and name.count(".") < depth and not name.startswith("eval_metrics")
    }
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    for name, part in [*parts.items(), ("", model)]:
        part.register_forward_hook(lambda _part, _x, output, name=name: note(name, output))
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        model.eval()(torch.zeros(1, *model.input_shape))
    counts = counter.get_flop_counts()
    root = type(model).__name__

    def row(name: str, part: nn.Module) -> Layer:
        parameters = sum(p.numel() for p in part.parameters())
        if name in shapes:
            flops = sum(counts.get(f"{root}.{name}" if name else root, {}).values())
            return Layer(name or root, type(part).__name__, shapes[name], parameters, flops // 2)
        inner = [row(f"{name}.{child}", module) for child, module in part.named_children()]  # it only holds them
        shape = inner[-1].shape if inner else None
        return Layer(name, type(part).__name__, shape, parameters, sum(layer.multiply_adds for layer in inner))

    return [*(row(name, part) for name, part in parts.items()), row("", model)]


def print_layers(model: ImageClassifier) -> None:
    """Print the table of `layers`, and the totals under it."""
    from rich.console import Console
    from rich.table import Table

    *rows, total = layers(model)
    shape = "x".join(map(str, model.input_shape))
    table = Table(title=f"{total.name} on {shape} images, {model.num_classes} classes", show_footer=True)
    table.add_column("layer", footer="total", no_wrap=True)
    table.add_column("type", footer="", no_wrap=True)
    table.add_column("output", footer="x".join(map(str, total.shape or ())), justify="right", no_wrap=True)
    table.add_column("parameters", footer=f"{total.parameters:,}", justify="right", no_wrap=True)
    table.add_column("multiply-adds", footer=f"{total.multiply_adds:,}", justify="right", no_wrap=True)
    for row in rows:
        shape = "in training" if row.shape is None else "x".join(map(str, row.shape))
        inner = "  " * row.name.count(".") + row.name
        numbers = [f"{number:,}" if number else "" for number in (row.parameters, row.multiply_adds)]
        table.add_row(inner, row.kind, shape, *numbers)
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=120)).print(table)
