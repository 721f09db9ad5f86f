"""`python -m project export`: a run's network as one file without this code."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from project.analysis.metadata import metadata_of
from project.cli.console import print_rows
from project.cli.keys import add_checkpoint, add_images
from project.commands.export.check import largest_difference, real_images
from project.commands.export.classifier import Classifier, trace
from project.commands.export.formats import find_format
from project.errors import UserError
from project.models.checks import check_predicts
from project.models.pretrained import skip_pretrained
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, shown

if TYPE_CHECKING:
    from project.cli.main import CLI

TOLERANCE = 1e-4  # greatest difference of a probability from the checkpoint's


def add_arguments(parser: Any) -> None:
    """Add the keys that say what is exported, and where to."""
    add_checkpoint(parser)
    add_images(parser)
    parser.add_argument("--format", type=str, default="onnx", help="onnx or torch_export.")
    parser.add_argument("--output", type=str | None, help="The file to write.")


def run(cli: "CLI") -> None:
    """Export the checkpoint that ``--checkpoint`` names."""
    assert cli.arguments.run is not None  # a rule of the command line
    export(cli.arguments.run, cli.config, lambda: cli.parser.instantiate_classes(cli.config))


def export(run: Run, settings: Any, instantiate: Callable[[], Any]) -> None:
    """Write a checkpoint's network to a file, and keep the file if it computes the same.

    Args:
        run: The run with the checkpoint.
        settings: The parsed config, with ``format``, ``output``, ``checkpoint`` and ``images``.
        instantiate: Builds ``data`` and ``model`` from the config.

    Raises:
        UserError: An argument, the checkpoint or an image cannot be used.
        RuntimeError: The file computes something else.
    """
    form = find_format(settings.format)
    source = run.checkpoint(settings.checkpoint)
    checkpoint = read_checkpoint(source)
    with skip_pretrained():  # the checkpoint has all of them
        built = instantiate()
    data, model = built.data, built.model
    check_predicts("export", model)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    classifier, (x, left_out) = Classifier(model, data), real_images(data, settings.images)
    metadata = metadata_of(run, source, checkpoint["global_step"], settings.model.class_path, data)
    path = Path(settings.output or run.folder / "export" / f"model{form.suffix}").absolute()
    with scratch_beside(path) as folder:
        part = Path(folder) / f"model{form.suffix}"
        form.write(trace(classifier, x), part, metadata)
        difference = largest_difference(form.read(part), data, model, x)
        if not difference <= TOLERANCE:  # true for NaN as well
            raise RuntimeError(
                f"the probabilities of the {settings.format} file differ from the checkpoint's "
                f"by up to {difference:.2g}, more than {TOLERANCE:g}: it was not kept"
            )
        part.replace(path)
    agreement = f"probabilities differ by {difference:.1g} at most"
    rows = {
        "file": f"{shown(path)} ({path.stat().st_size / 1e6:,.1f} MB)",
        "format": settings.format,
        "checked": f"{len(x)} images in batches of 1, 7 and 64: {agreement}",
        **left_out,
        "next": form.usage.format(shown(path)),
    }
    print_rows(f"{run.experiment}/{run.id}", rows)


def scratch_beside(path: Path) -> TemporaryDirectory[str]:
    """A temporary folder beside ``path``, from which a whole file can be moved to it.

    Raises:
        UserError: It cannot be made, or ``path`` is a folder.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(dir=path.parent)
    except OSError as error:
        reason = f"cannot write {path} ({error.strerror})"
        raise UserError(f"{reason}: give another file as --output") from None
