"""One picture of a run, as for the top of a README."""

from pathlib import Path

from project.errors import UserError
from project.run.folder import Run

WIDTH = 1200  # pixels


def write_overview(run: Run, split: str, path: Path) -> None:
    """Write the predictions of a run beside its history and its confusion matrix, as a PNG.

    Args:
        run: A finished run.
        split: Which figures to take, ``val`` or ``test``.
        path: File to write.

    Raises:
        UserError: The run has no such figures, as when its task draws others.
    """
    from PIL import Image

    names = (f"predictions_{split}", "history", f"confusion_matrix_{split}")
    missing = [name for name in names if not (run.figures / f"{name}.png").exists()]
    if missing:
        raise UserError(f"{run.folder} has no figure {missing[0]}.png, so no picture of it is made")
    left, above, below = (Image.open(run.figures / f"{n}.png").convert("RGB") for n in names)
    for image in (above, below):
        image.thumbnail((WIDTH // 2, WIDTH // 2), Image.Resampling.LANCZOS)
    height = above.height + below.height
    left = left.resize((left.width * height // left.height, height), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (left.width + WIDTH // 2, height), "white")
    picture.paste(left, (0, 0))
    picture.paste(above, (left.width, 0))
    picture.paste(below, (left.width + (WIDTH // 2 - below.width) // 2, above.height))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(256).save(path, optimize=True)
