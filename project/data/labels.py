"""A CSV file with the labels of images."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from project.data.layout import split_of
from project.errors import UserError

Target = Literal["class", "labels", "number"]
SEPARATOR = "|"  # between the labels of an image


@dataclass
class Row:
    """A line of the file.

    Attributes:
        where: What errors call it.
        file: Path relative to the dataset's root.
        label: The text in the column ``label``.
        split: ``train``, ``val`` or ``test``.
    """

    where: str
    file: str
    label: str
    split: str


def find_labels(labels: str | None, root: Path, target: Target) -> Path | None:
    """The file of ``--data.labels``, seen from the working folder or else from ``root``."""
    if labels is None:
        if target != "class":
            raise UserError(f"--data.target {target} needs --data.labels, a CSV file")
        return None
    return next((p for p in (Path(labels), root / labels) if p.is_file()), Path(labels)).absolute()


def read_labels(path: Path) -> list[Row]:
    """The lines of a CSV file with the columns ``file`` and ``label``, and perhaps ``split``.

    Raises:
        UserError: It cannot be read, has other columns, or has a file twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            if not {"file", "label"} <= {*columns} <= {"file", "label", "split"}:
                raise UserError(
                    f"{path} has the columns {', '.join(map(str, columns))}: it needs file and "
                    "label, may have split, and nothing else"
                )
            rows = [as_row(f"{path}, line {reader.line_num}", line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read --data.labels {path}: {reason}") from None
    seen: set[str] = set()
    for row in rows:
        if row.file in seen:
            raise UserError(
                f"{row.where} has {row.file} for the second time: give each file one line, and "
                f"several labels as a{SEPARATOR}b with --data.target labels"
            )
        seen.add(row.file)
    if not rows:
        raise UserError(f"{path} lists no file")
    return rows


def as_row(where: str, line: dict[str, str]) -> Row:
    """A line by its columns; without a split it is for training."""
    if None in line.values() or None in line:
        raise UserError(f"{where} has more or fewer values than columns: put quotes around commas")
    split = split_of(line.get("split", "train").strip())
    if split is None:
        raise UserError(f"{where} has the split {line['split']!r}: use train, val or test")
    return Row(where, os.path.normpath(line["file"].strip()), line["label"].strip(), split)


def check_files(rows: list[Row], root: Path) -> None:
    """Raise UserError if listed files are missing in ``root``."""
    missing = [row for row in rows if not os.path.isfile(root / row.file)]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(rows)} listed files are not in {root}, such as "
            f"{missing[0].file} ({missing[0].where}): give paths relative to --data.root, with "
            "their suffix"
        )


def label_names(rows: list[Row], target: Target) -> list[str]:
    """Names of the network's outputs: the classes or labels in order, or the column's name."""
    if target == "number":
        return ["label"]
    names = {name for row in rows for name in names_of(row, target)}
    for row in rows:
        parts = [part.strip() for part in re.split("[,;/+&]", row.label)]
        if len(parts) > 1 and names.issuperset(parts):
            advice = f"put {SEPARATOR} between them, and use --data.target labels"
            raise UserError(f"{row.where} has {row.label!r}, made of other labels: {advice}")
    return sorted(names)


def names_of(row: Row, target: Target) -> list[str]:
    """The class or the labels in a line.

    Raises:
        UserError: A class is expected, and there is none or several.
    """
    names = [name.strip() for name in row.label.split(SEPARATOR)]
    if target == "labels":
        return [name for name in names if name]
    if names == [""] or len(names) > 1:
        said = f"{len(names)} labels, {row.label}," if names != [""] else "no label"
        raise UserError(
            f"{row.where} has {said} where a class is expected: for any number of labels use "
            "--data.target labels --objective MultiLabel"
        )
    return names


def label_targets(rows: list[Row], target: Target, names: list[str]) -> Tensor:
    """int64 classes (N,), float32 labels (N, K) of 0 and 1, or float32 numbers (N,).

    Raises:
        UserError: A label is not among the names, or is no number.
    """
    if target == "number":
        return torch.tensor([number_of(row) for row in rows])
    position = {name: k for k, name in enumerate(names)}
    y = torch.zeros(len(rows), len(names))
    for i, row in enumerate(rows):
        for name in names_of(row, target):
            if name not in position:
                raise UserError(f"{row.where} has the label {name}, which the run does not know")
            y[i, position[name]] = 1
    return y if target == "labels" else y.argmax(1)


def number_of(row: Row) -> float:
    """The finite number that a line's label is."""
    try:
        value = float(row.label)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise UserError(
            f"{row.where} has the label {row.label!r}, which is not a number: for classes leave "
            "out --data.target number"
        )
    return value
