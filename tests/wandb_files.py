"""W&B's offline files, read by W&B's own messages."""

import json
import struct
import time
from collections.abc import Iterator
from typing import Any

from project.run.folder import Run


def log_entries(data: bytes) -> Iterator[bytes]:
    """The entries of a .wandb file: LevelDB's log in blocks of 32 KiB, after seven bytes of W&B."""
    assert data[:4] in (b":W&B", b"")
    position, entry = 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:  # the rest of a block that no header fits in
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        position += 7
        if position + length > len(data):  # still being written
            return
        entry += data[position : position + length]
        position += length
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""


def records(run: Run) -> list[Any]:
    """Everything in the run's offline files, oldest first, parsed by W&B's own messages.

    W&B's process of its own may still be writing when `finish` has returned, so each file's last
    record, the exit, is waited for.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    found: list[Any] = []
    for path in sorted(run.folder.glob("wandb/offline-run-*/run-*.wandb")):
        deadline = time.monotonic() + 20
        written: list[Any] = []
        while not written or not written[-1].HasField("exit"):
            assert time.monotonic() < deadline, f"{path.name} has no end"
            time.sleep(0.05)
            written = [Record.FromString(entry) for entry in log_entries(path.read_bytes())]
        found += written
    return found


def artifacts(found: list[Any]) -> list[Any]:
    """What is uploaded with the run when it is synced."""
    requests = [
        record.request.log_artifact.artifact for record in found if record.HasField("request")
    ]
    return [record.artifact for record in found if record.HasField("artifact")] + requests


def items(updates: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in updates}
