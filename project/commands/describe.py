"""What a network is made of: its layers, their output shapes, parameters and multiply-adds, without data."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from project.cli.console import new_console
from project.data import ImageDataModule
from project.models import Architecture
from project.models.pretrained import skip_pretrained

if TYPE_CHECKING:
    from project.cli.main import CLI

LINKED = ("num_classes", "input_shape", "optimizer", "lr_schedule", "objective")


def add_arguments(parser: Any) -> None:
    """Add ``--input_shape`` and ``--num_classes``, which the data says otherwise."""
    parser.add_argument(
        "--input_shape", type=tuple[int, ...] | None, help="Channels, height and width."
    )
    parser.add_argument("--num_classes", type=int | None, help="Number of classes.")


def run(cli: "CLI") -> None:
    """Print the layers of the configured model."""
    print_layers(build(cli.config))


@dataclass
class Layer:
    """A row of the table.

    Attributes:
        name: As in the state dict.
        kind: Its class.
        shape: Of the output for one image; None if the layer only takes part in training, () if it
            gives no tensor.
        parameters: Number of them, of all that is inside.
        multiply_adds: Of convolutions and matrix products for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int


def build(settings: Any) -> Architecture:
    """The model of a parsed config, on the meta device if it can be, where it takes neither memory nor time."""
    arguments = settings.model.init_args.as_dict()
    options = {name: value for name, value in arguments.items() if name not in LINKED}
    num_classes, input_shape = settings.num_classes, settings.input_shape
    if num_classes is None or input_shape is None:
        data: type[ImageDataModule] = imported(settings.data.class_path)
        metadata = data.metadata(settings.data.init_args.as_dict())
        num_classes = metadata[0] if num_classes is None else num_classes
        input_shape = input_shape or metadata[1]
    kind = imported(settings.model.class_path)
    with skip_pretrained():
        try:
            with torch.device("meta"):
                return kind(num_classes=num_classes, input_shape=input_shape, **options)
        except (NotImplementedError, RuntimeError):  # a constructor that computes with its tensors
            return kind(num_classes=num_classes, input_shape=input_shape, **options)


def imported(path: str) -> Any:
    """The object at an import path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def layers(model: Architecture, depth: int = 2) -> list[Layer]:
    """The parts of a model in the order of its state dict, the model itself last.

    Args:
        model: Any classifier, which gets hooks and is put into eval mode.
        depth: How deep parts within parts are shown.
    """
    parts = {
        name: part
        for name, part in model.named_modules()
        if name and name.count(".") < depth and not name.startswith("eval_metrics")
    }
    shapes: dict[str, tuple[int, ...]] = {}
    flops: dict[str, int] = dict.fromkeys([*parts, ""], 0)
    counter = FlopCounterMode(display=False)

    def begin(name: str) -> None:
        flops[name] -= counter.get_total_flops()

    def end(name: str, output: Any) -> None:
        flops[name] += counter.get_total_flops()
        shapes[name] = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()

    for name, part in [*parts.items(), ("", model)]:
        part.register_forward_pre_hook(lambda _part, _x, name=name: begin(name))
        part.register_forward_hook(lambda _part, _x, output, name=name: end(name, output))
    device = next(model.parameters()).device
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, *model.input_shape, device=device))

    def row(name: str, part: nn.Module) -> Layer:
        kind, parameters = type(part).__name__, sum(p.numel() for p in part.parameters())
        if name in shapes:
            return Layer(name or kind, kind, shapes[name], parameters, flops[name] // 2)
        inner = [
            row(f"{name}.{child}", module) for child, module in part.named_children()
        ]  # it only holds them
        shape = inner[-1].shape if inner else None
        return Layer(name, kind, shape, parameters, sum(layer.multiply_adds for layer in inner))

    return [*(row(name, part) for name, part in parts.items()), row("", model)]


def print_layers(model: Architecture) -> None:
    """Print the table of `layers`, and the totals under it."""
    from rich.table import Table

    *rows, total = layers(model)
    shape = "x".join(map(str, model.input_shape))
    table = Table(
        title=f"{total.name} on {shape} images, {model.num_classes} classes", show_footer=True
    )
    table.add_column("layer", footer="total", no_wrap=True)
    table.add_column("type", footer="", no_wrap=True)
    table.add_column(
        "output", footer="x".join(map(str, total.shape or ())), justify="right", no_wrap=True
    )
    table.add_column("parameters", footer=f"{total.parameters:,}", justify="right", no_wrap=True)
    table.add_column(
        "multiply-adds", footer=f"{total.multiply_adds:,}", justify="right", no_wrap=True
    )
    for row in rows:
        shape = "in training" if row.shape is None else "x".join(map(str, row.shape))
        inner = "  " * row.name.count(".") + row.name
        numbers = [
            f"{number:,}" if number else "" for number in (row.parameters, row.multiply_adds)
        ]
        table.add_row(inner, row.kind, shape, *numbers)
    new_console(width=120).print(table)
