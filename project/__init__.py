"""A PyTorch Lightning research template for image classification."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project.loaded import LoadedRun


def load(run: str | os.PathLike[str], checkpoint: str | os.PathLike[str] = "best") -> "LoadedRun":
    """Load a run to predict with: ``load("runs/digits").predict(["a.png"])``.

    Args:
        run: Folder of a run, or of an experiment for its newest run.
        checkpoint: ``best``, ``last`` or a file.

    Raises:
        project.errors.UserError: There is no run, or its checkpoint cannot be used.
    """
    from project.loaded import LoadedRun

    return LoadedRun(run, checkpoint)
