"""Describe a network without data: its layers, output shapes, parameters and MACs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning.pytorch.utilities.model_summary import ModelSummary

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


class Layer(NamedTuple):
    """A row of the table.

    Attributes:
        name: Name in the state dict.
        kind: Name of its class.
        shape: Shape of its output for one image; None if evaluation does not call it, () if it does
            not return a tensor.
        parameters: Number of parameters, of all layers inside it.
        macs: Multiply-accumulates of its convolutions and matrix products for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int


def build(settings: Any) -> Architecture:
    """Build the model of a parsed config, on the meta device if it can be, which costs nothing."""
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
        except (NotImplementedError, RuntimeError):  # the constructor computes with its tensors
            return kind(num_classes=num_classes, input_shape=input_shape, **options)


def imported(path: str) -> Any:
    """The object at an import path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def layers(model: Architecture, depth: int = 2) -> list[Layer]:
    """The layers of a model down to ``depth``, and the model itself as the last row.

    The figures are those of Lightning's ModelSummary, which counts two FLOPs for each MAC.
    """
    summary = ModelSummary(model, max_depth=depth)
    flops, columns = summary.flop_counts, (summary.layer_types, summary.out_sizes)
    rows = []
    for name, kind, size, parameters in zip(
        summary.layer_names, *columns, summary.param_nums, strict=True
    ):
        if not name.startswith("eval_metrics"):
            several = isinstance(size, list) and any(isinstance(part, list) for part in size)
            shape = () if several else None if size == "?" else tuple(size[1:])
            rows.append(Layer(name, kind, shape, parameters, sum(flops[name].values()) // 2))
    kind, macs = type(model).__name__, summary.total_flops // 2
    return [*rows, Layer(kind, kind, (model.num_classes,), summary.total_parameters, macs)]


def print_layers(model: Architecture) -> None:
    """Print the table of `layers`, with the totals under it."""
    from rich.table import Table

    *rows, total = layers(model)
    size, count = "x".join(map(str, model.input_shape)), model.num_classes
    images = f"{size} images, {count} classes"
    features = f"{size} feature(s), {count} output(s)"
    title = f"{total.name} on {images if len(model.input_shape) == 3 else features}"
    table = Table(title=title, show_footer=True)
    for name, footer in (
        ("layer", "total"),
        ("type", ""),
        ("output", str(model.num_classes)),
        ("parameters", f"{total.parameters:,}"),
        ("MACs", f"{total.macs:,}"),
    ):
        text = name in ("layer", "type")
        table.add_column(name, footer=footer, justify="left" if text else "right", no_wrap=True)
    for row in rows:
        shape = "not called" if row.shape is None else "x".join(map(str, row.shape))
        numbers = [f"{number:,}" if number else "" for number in (row.parameters, row.macs)]
        table.add_row("  " * row.name.count(".") + row.name, row.kind, shape, *numbers)
    new_console(width=120).print(table)
