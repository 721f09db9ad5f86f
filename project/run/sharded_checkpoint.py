"""Checkpoints that are folders: each process writes its part of every tensor to its own file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from project.errors import writing
from project.run.checkpoint_files import put, remove

SHARD = "shard of the first dimension"  # key of what stands for a tensor of which this is a part


def each_shard(tree: Any, change: Callable[[Any], Any]) -> Any:
    """Nested dicts and lists in which each tensor of which this process has a part is changed."""
    from torch.distributed.tensor import DTensor

    if isinstance(tree, dict):
        return {key: each_shard(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [each_shard(value, change) for value in tree]
    return change(tree) if isinstance(tree, DTensor) else tree


def joined(trees: list[Any]) -> Any:
    """The whole of nested dicts and lists of which each process had the like, with its parts."""
    first = trees[0]
    if None in trees[1:]:  # what the first process alone has
        return first
    if isinstance(first, dict) and SHARD in first:
        return torch.cat([tree[SHARD] for tree in trees])
    if isinstance(first, dict):
        return {key: joined([tree.get(key) for tree in trees]) for key in first}
    if isinstance(first, list):
        return [joined(list(values)) for values in zip(*trees, strict=True)]
    return first


def files_of(folder: Path) -> list[Path]:
    """Files of a sharded checkpoint in the order of the processes, with those that are missing.

    There are none of anything else.
    """
    names = list(folder.glob("*-of-*.ckpt"))
    count = int(names[0].stem.rpartition("-")[2]) if names else 0
    return [folder / file_name(rank, count) for rank in range(count)]


def file_name(rank: int, world_size: int) -> str:
    """The name of a process's file."""
    return f"{rank}-of-{world_size}.ckpt"


def save_shards(
    checkpoint: dict[str, Any],
    path: Path,
    rank: int,
    world_size: int,
    barrier: Callable[[], object],
) -> None:
    """Write this process's part; the first process's has all that is not sharded, too."""
    part = path.with_suffix(".shards.part")
    if rank == 0:
        remove(part)
        part.mkdir(parents=True)
    barrier()
    checkpoint = each_shard(checkpoint, lambda tensor: {SHARD: tensor.to_local().cpu()})
    own = {key: checkpoint[key] for key in ("state_dict", "optimizer_states")}
    name = part / file_name(rank, world_size)
    with writing(name), name.open("wb") as file:
        torch.save(own if rank else checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
    barrier()
    if rank == 0:
        put(part, path)
    barrier()
