"""The formats of exported files."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.export import ExportedProgram

from project.errors import UserError

ONNX_LIMIT = 2**31 - 2**22  # bytes of weights: a protobuf has less than 2 GiB, with the graph
Compute = Callable[[Tensor], Tensor]


class Format(NamedTuple):
    """A format of exported files.

    Attributes:
        suffix: Suffix of its files.
        packages: Packages that it needs and that the project does not depend on.
        write: Writes a program and its metadata to a file.
        read: Loads the function that a file computes.
        usage: Python code that loads a file, with ``{!r}`` for its path.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportedProgram, Path, dict[str, Any]], None]
    read: Callable[[Path], Compute]
    usage: str


def write_onnx(program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
    """Convert a program to ONNX and write it as one file.

    Raises:
        UserError: It is too large for one file.
    """
    if sum(tensor.nbytes for tensor in program.state_dict.values()) > ONNX_LIMIT:
        raise UserError("an ONNX file holds less than 2 GB of weights: give --format torch_export")
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["probabilities"]}
    shapes = {"images": {0: "batch"}}
    converted = torch.onnx.export(
        program, dynamo=True, dynamic_shapes=shapes, verbose=False, **names
    )
    assert converted is not None
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    converted.model.metadata_props.update(texts)
    # The program's own `save` makes two files from 1.5 GB on.
    path.write_bytes(converted.model_proto.SerializeToString())


def read_onnx(path: Path) -> Compute:
    """The function that an ONNX file computes."""
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["probabilities"], {"images": x.numpy()})[0])


def write_torch(program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
    """Write a program as `torch.export` does."""
    torch.export.save(program, path, extra_files={"metadata.json": json.dumps(metadata)})


def read_torch(path: Path) -> Compute:
    """The function that a file of `torch.export` computes."""
    return torch.export.load(path).module()


ONNX = ("onnx", "onnxscript", "onnxruntime")
FORMATS = {
    "onnx": Format(".onnx", ONNX, write_onnx, read_onnx, "onnxruntime.InferenceSession({!r})"),
    "torch_export": Format(".pt2", (), write_torch, read_torch, "torch.export.load({!r}).module()"),
}


def find_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        UserError: There is no such format, or it needs packages that are not installed.
    """
    if name not in FORMATS:
        raise UserError(f"there is no --format {name}: give {' or '.join(FORMATS)}")
    if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
        raise UserError(f"--format {name} needs {', '.join(missing)}: pip install -e '.[export]'")
    return FORMATS[name]
