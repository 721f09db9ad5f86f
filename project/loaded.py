"""A run in Python: what `from project import load` gives."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from project.analysis.run_result import RunResult
from project.callbacks.plots import output_names
from project.cli.arguments import read_arguments
from project.cli.config_files import read_config
from project.cli.errors import translated
from project.cli.main import CLI
from project.cli.old_runs import config_of
from project.data import ImageDataModule
from project.data.encoded_images import stack
from project.data.given_images import as_sample, name_of
from project.data.sampler import EvalBatches
from project.errors import UserError
from project.models import Architecture
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, shown
from project.run.global_state import unchanged

ADVICE = "load another checkpoint: best, last or a file"


@dataclass(frozen=True, repr=False)
class Prediction:
    """The prediction for one image; it prints as its row in the table of the command `predict`.

    Attributes:
        image: The image's path, or its index if it was given in memory.
        names: Names of the network's outputs, such as classes.
        values: A number for each name: the probability of a class or label, or the value of a
            regression.
        row: The row of the table, by column.
    """

    image: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    row: dict[str, str]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Names with their values, the greatest first, such as classes with their probabilities."""
        pairs = zip(self.names, self.values, strict=True)
        return sorted(pairs, key=lambda pair: pair[1], reverse=True)

    def __repr__(self) -> str:
        cells = ", ".join(f"{column}={cell}" for column, cell in self.row.items())
        return f"<Prediction {self.image}: {cells}>"


class LoadedRun:
    """A run with its trained model, to predict with and to look at.

    Loading leaves random generators, environment variables, logging and warnings as they were.

    Args:
        folder: Folder of the run, or of an experiment for its newest run.
        checkpoint: ``best``, ``last`` or a file.

    Attributes:
        folder: The run's folder.
        config: The full merged config, as in config.yaml.
        model: The LightningModule with the checkpoint's weights, in eval mode on the CPU.
        data: The data module, without a Trainer.
        checkpoint: The checkpoint's file.

    Raises:
        UserError: There is no run, or its checkpoint cannot be used.
    """

    def __init__(
        self, folder: str | os.PathLike[str], checkpoint: str | os.PathLike[str] = "best"
    ) -> None:
        words = [f"--run={os.fspath(folder)}", f"--checkpoint={os.fspath(checkpoint)}"]
        with unchanged():
            cli = CLI(read_arguments(["validate", *words]))
            assert cli.arguments.run is not None
            self.run: Run = cli.arguments.run
            for name in ("logger", "callbacks", "profiler"):  # they may open files and connections
                cli.config.trainer[name] = None
            with translated(cli.start):
                cli.build(pretrained=False)
        self.folder, self.config = self.run.folder, read_config(config_of(self.run))
        self.model, self.data = cli.model, cli.datamodule
        self.checkpoint = self.run.checkpoint(cli.config.checkpoint)
        content = read_checkpoint(self.checkpoint, advice=ADVICE)
        self.model.on_load_checkpoint(content)
        self.model.load_state_dict(content["state_dict"], strict=self.model.strict_loading)
        self.model.eval()

    def __repr__(self) -> str:
        names = (type(part).__name__ for part in (self.model, self.data))
        return f"<{' on '.join(names)}, {self.checkpoint.name} of {shown(self.folder)}>"

    @cached_property
    def metrics(self) -> Any:
        """The rows of metrics.csv: a DataFrame if pandas is installed, else a list of dicts."""
        rows: list[dict[str, float]] = [
            {k: int(v) if k in ("step", "epoch") else float(v) for k, v in row.items()}
            for row in RunResult(self.run).history
        ]
        if find_spec("pandas") is None:
            return rows
        import pandas

        return pandas.DataFrame(rows)

    def predict(self, images: Any) -> list[Prediction]:
        """Predict images as the command `predict` does, in float32 on the model's device.

        Args:
            images: An image or several of them. An image is the path of a file, a PIL image, or a
                uint8 array (H, W) or (H, W, C) with C = 1 (grey), 3 (RGB) or 4 (RGBA), of any size.
                If the dataset has no images, it is an array of the shape of a sample, or for a
                table a dict of a row's cells by column.

        Returns:
            A prediction for each image, in order.

        Raises:
            UserError: An image cannot be read, or the run has no network that predicts.
        """
        model, data = self.model, self.data
        if not isinstance(model, Architecture) or not isinstance(data, ImageDataModule):
            raise UserError(
                "predict needs a network with an objective and data of project.data, "
                f"not {type(model).__name__} and {type(data).__name__}: use .model and .data"
            )
        one = isinstance(images, str | np.ndarray | Mapping) or not isinstance(images, Iterable)
        given = [images] if one else list(images)
        if not given:
            return []
        model.eval()
        parts = []
        with torch.no_grad():
            for batch in EvalBatches(torch.arange(len(given)), data.batch_size, 0, 1):
                samples = [as_sample(given[i], i, data) for i in batch.tolist()]
                x = stack(samples) if samples[0].ndim == 3 else torch.stack(samples)
                inputs = data.on_after_batch_transfer((x.to(model.device), batch), 0)
                parts.append(model.predict_step(inputs, 0).float().cpu())
        predictions = torch.cat(parts)
        names = tuple(output_names(data, predictions.shape[1]))
        columns, rows = model.objective.table(predictions, names)
        cells = [dict(zip(columns, row, strict=True)) for row in rows]
        images = map(name_of, given, range(len(given)))
        values = map(tuple, predictions.tolist())
        return list(map(Prediction, images, [names] * len(given), values, cells))
