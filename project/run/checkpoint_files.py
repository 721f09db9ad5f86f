"""Names of checkpoints, each of which is a file or, where it is sharded, a folder."""

import os
import shutil
from pathlib import Path


def put(part: Path, path: Path) -> None:
    """Give what was written its name; an old ``last.ckpt`` becomes ``previous.ckpt``.

    A file replaces another at once. A kill between the two renamings of a folder leaves no
    ``last.ckpt``, and the run goes on from ``previous.ckpt``.
    """
    last = path.name == "last.ckpt"
    old = path.with_name("previous.ckpt") if last else path.with_suffix(".old.part")
    if part.is_dir() or path.is_dir():
        remove(old)
        if path.exists():
            path.rename(old)
    elif last and path.exists():
        link_or_copy(path, old)
    part.replace(path)
    if not last:
        remove(old)


def link_or_copy(path: Path, name: Path) -> None:
    """Give a checkpoint a second name, which replaces any other of that name, a file at once."""
    if path.is_dir() or name.is_dir():
        remove(name)
    if path.is_dir():
        shutil.copytree(path, name)
        return
    part = name.with_suffix(f".{os.getpid()}.part")
    name.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.hardlink_to(path)
    except OSError:  # on another file system, or one without links
        shutil.copyfile(path, part)
    part.replace(name)
    part.unlink(missing_ok=True)  # renaming does nothing if the name is of the same file already


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
