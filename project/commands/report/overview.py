"""One picture of a run, as for the top of a README."""

from pathlib import Path

from project.commands.report.images import opened
from project.errors import UserError, writing
from project.run.folder import Run

WIDTH = 1200  # pixels


def write_overview(run: Run, split: str, path: Path) -> None:
    """Write the predictions of a run beside its history and its confusion matrix, as a PNG.

    Args:
        run: A finished run.
        split: Which figures to take, ``val`` or ``test``.
        path: File to write.

    Raises:
        UserError: The run has no such figures, as when its task draws others, or one is damaged.
    """
    from PIL import Image

    names = (f"predictions_{split}", "history", f"confusion_matrix_{split}")
    missing = [name for name in names if not (run.figures / f"{name}.png").exists()]
    if missing:
        raise UserError(
            f"{run.folder} has no figure {missing[0]}.png: validate or test the run, or leave out "
            "--picture"
        )
    left, above, below = (opened(run.figures / f"{name}.png") for name in names)
    for image in (above, below):
        image.thumbnail((WIDTH // 2, WIDTH // 2), Image.Resampling.LANCZOS)
    height = above.height + below.height
    left = left.resize((left.width * height // left.height, height), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (left.width + WIDTH // 2, height), "white")
    picture.paste(left, (0, 0))
    picture.paste(above, (left.width, 0))
    picture.paste(below, (left.width + (WIDTH // 2 - below.width) // 2, above.height))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.quantize(256).save(path, "PNG", optimize=True)
