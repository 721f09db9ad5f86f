"""`python -m project export`: a run's network as one file, which takes uint8 images and needs none of this code."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from project.cli.console import new_console
from project.cli.keys import add_checkpoint, add_images
from project.cli.user_images import find_images, skipped
from project.data import ImageDataModule
from project.data.download import DownloadedDataModule
from project.data.encoded_images import stack
from project.errors import UserError
from project.models import Architecture
from project.models.checks import check_fits
from project.models.pretrained import skip_pretrained
from project.plots import evenly_spaced
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, shown

if TYPE_CHECKING:
    from project.cli.main import CLI

BATCHES = [64, 1, *[7] * 5]  # that 100 images are checked in
TOLERANCE = 1e-4  # of a probability
ONNX_LIMIT = 2**31 - 2**22  # bytes of weights: no protobuf has 2 GiB, and the graph needs some
Compute = Callable[[Tensor], Tensor]


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint``, ``--images``, ``--format`` and ``--output``."""
    add_checkpoint(parser)
    add_images(parser)
    parser.add_argument("--format", type=str, default="onnx", help="onnx or torch_export.")
    parser.add_argument("--output", type=str | None, help="The file to write.")


def run(cli: "CLI") -> None:
    """Export the checkpoint that ``--checkpoint`` names."""
    assert cli.arguments.run is not None  # a rule of the command line
    export(cli.arguments.run, cli.config, lambda: cli.parser.instantiate_classes(cli.config))


class Classifier(nn.Module):
    """What the file computes: class probabilities (N, num_classes) of uint8 images (N, C, H, W).

    Args:
        model: A classifier of normalised images, which is put into eval mode and no longer trained.
        data: What it was trained on, for the normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Architecture, data: ImageDataModule) -> None:
        super().__init__()
        self.model = model
        for name, value in zip(("mean", "std"), data.statistics(torch.device("cpu")), strict=True):
            self.register_buffer(name, value.clone())
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.model.eval_outputs((images.float() - self.mean) / self.std)
        return self.model.objective.predictions(outputs)


def export(run: Run, settings: Any, instantiate: Callable[[], Any]) -> None:
    """Write a checkpoint's network to a file, which is kept if it computes what the checkpoint does.

    Args:
        run: With the checkpoint.
        settings: The parsed config, with ``format``, ``output``, ``checkpoint`` and ``images``.
        instantiate: Makes ``data`` and ``model`` of the config.

    Raises:
        UserError: An argument, the checkpoint or an image cannot be used.
        RuntimeError: The file computes something else.
    """
    if settings.format not in FORMATS:
        raise UserError(f"there is no --format {settings.format}: give {' or '.join(FORMATS)}")
    suffix, packages, write, read = FORMATS[settings.format]
    if missing := [name for name in packages if find_spec(name) is None]:
        raise UserError(
            f"--format {settings.format} needs {', '.join(missing)}: pip install -e '.[export]'"
        )
    source = run.checkpoint(settings.checkpoint)
    checkpoint = read_checkpoint(source)
    with skip_pretrained():  # by the checkpoint's
        built = instantiate()
    data, model = built.data, built.model
    check_fits(model, checkpoint["state_dict"])
    model.load_state_dict(checkpoint["state_dict"])
    classifier, (x, left_out) = Classifier(model, data), real_images(data, settings.images)
    metadata = describe(run, source, checkpoint["global_step"], settings.model.class_path, data)
    path = Path(settings.output or run.folder / "export" / f"model{suffix}").absolute()
    part = writable_part(path)
    try:
        write(trace(classifier, x), part, metadata)
        difference = largest_difference(read(part), data, model, x)
        if not difference <= TOLERANCE:  # NaN is not either
            raise RuntimeError(
                f"the probabilities of the {settings.format} file differ from the checkpoint's by up to "
                f"{difference:.2g}, more than {TOLERANCE:g}: it was not kept"
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    print_export(run, settings.format, path, len(x), difference, left_out)


def writable_part(path: Path) -> Path:
    """An empty file beside ``path``, to take its name once it is whole.

    Raises:
        UserError: It cannot be made, or ``path`` is a folder.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}): give another file as --output"
        ) from None
    return part


def describe(
    run: Run, checkpoint: Path, step: int, model: str, data: ImageDataModule
) -> dict[str, Any]:
    """What the file says of itself: how to use it, and what it was made of."""
    environment = (
        json.loads(run.environment.read_text(encoding="utf-8")) if run.environment.exists() else {}
    )
    facts = {
        "class_names": list(data.class_names),
        "input_shape": list(data.input_shape),
        "mode": {1: "L", 3: "RGB"}.get(data.input_shape[0]),  # Pillow's
        "model": model,
        "run": f"{run.experiment}/{run.id}",
        "checkpoint": checkpoint.name,
        "step": step,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),  # of the checkpoint
        "commit": (environment.get("git") or {}).get("commit"),
        "torch": torch.__version__,
    }
    return {name: value for name, value in facts.items() if value is not None}


def trace(classifier: Classifier, x: Tensor) -> ExportedProgram:
    """The operations of a classifier on images like ``x`` (M, C, H, W), for batches of any size."""
    example = x[:1].repeat(2, 1, 1, 1)  # a size of one would be taken for a constant
    program = torch.export.export(
        classifier, (example,), dynamic_shapes={"images": {0: Dim("batch")}}
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program


def write_onnx(program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
    """Convert a program to ONNX, and write it as one file.

    Raises:
        UserError: It is too large for that.
    """
    if sum(tensor.nbytes for tensor in program.state_dict.values()) > ONNX_LIMIT:
        raise UserError("an ONNX file holds less than 2 GB of weights: give --format torch_export")
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["probabilities"]}
    shapes = {"images": {0: "batch"}}
    converted = torch.onnx.export(
        program, dynamo=True, dynamic_shapes=shapes, verbose=False, **names
    )
    assert converted is not None
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in metadata.items()
    }
    converted.model.metadata_props.update(texts)
    path.write_bytes(
        converted.model_proto.SerializeToString()
    )  # `save` makes two files of 1.5 GB and more


def read_onnx(path: Path) -> Compute:
    """What an ONNX file computes."""
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["probabilities"], {"images": x.numpy()})[0])


def write_torch(program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
    """Write a program as `torch.export` does."""
    content = io.BytesIO()  # a path would have to end in .pt2
    torch.export.save(program, content, extra_files={"metadata.json": json.dumps(metadata)})
    path.write_bytes(content.getbuffer())


def read_torch(path: Path) -> Compute:
    """What a file of `torch.export` computes."""
    with path.open("rb") as file:
        return torch.export.load(file).module()


# Suffix, packages that are no dependency, writer and reader of each format.
FORMATS: dict[str, tuple[str, tuple[str, ...], Callable[..., None], Callable[[Path], Compute]]] = {
    "onnx": (".onnx", ("onnx", "onnxscript", "onnxruntime"), write_onnx, read_onnx),
    "torch_export": (".pt2", (), write_torch, read_torch),
}


def real_images(data: ImageDataModule, images: list[str] | None) -> tuple[Tensor, dict[str, str]]:
    """100 uint8 images (N, C, H, W) or fewer, and a row for the summary if some were skipped.

    They are the first of the user's that can be read, or some of the validation set.

    Raises:
        UserError: None of the user's can be read, or the dataset is not there.
    """
    count = sum(BATCHES)
    if images:
        data.images = find_images(images)
        data.setup("predict")
        readable = (
            image
            for i in range(len(data.images))
            if (image := data.predict_set.image(i)) is not None
        )
        return stack(list(islice(readable, count))), skipped(data.predict_set)
    if isinstance(data, DownloadedDataModule):
        data.download = False  # one's own images do as well
    try:
        data.prepare_data()
        data.setup("validate")
        x: Tensor = data.train_set.__getitems__(
            data.val_indices[evenly_spaced(count, len(data.val_indices))]
        )[0]
    except (ValueError, OSError) as error:
        reason = error if isinstance(error, OSError) else str(error).rpartition(": ")[0]
        raise UserError(
            f"no validation images to check the export on ({reason}): give --images files or folders, or --data.root"
        ) from None
    return x, {}


def largest_difference(
    compute: Compute, data: ImageDataModule, model: Architecture, x: Tensor
) -> float:
    """Between probabilities by a file and by a model, of images (N, C, H, W) that are repeated to make 100."""
    order = torch.arange(sum(BATCHES)) % len(x)
    with torch.no_grad():
        worst = [
            (compute(x[part].contiguous()) - model.predict_step(data.to_input(x[part], part), 0))
            .abs()
            .max()
            for part in order.split(BATCHES)
        ]
    return float(torch.stack(worst).max())


def print_export(
    run: Run, name: str, path: Path, count: int, difference: float, left_out: dict[str, str]
) -> None:
    """Print what was written, how it was checked, and how it is loaded."""
    from rich.table import Table

    loads = {
        "onnx": "onnxruntime.InferenceSession({!r})",
        "torch_export": "torch.export.load({!r}).module()",
    }
    rows = {
        "file": f"{shown(path)} ({path.stat().st_size / 1e6:,.1f} MB)",
        "format": name,
        "checked": f"{count} images in batches of 1, 7 and 64: probabilities differ by {difference:.1g} at most",
        **left_out,
        "next": loads[name].format(shown(path)),
    }
    table = Table(show_header=False, title=f"{run.experiment}/{run.id}")
    for row in rows.items():
        table.add_row(*row)
    new_console().print(table)
