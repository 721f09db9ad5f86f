"""Reading the files of a git checkout, and writing them to another one."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from project.commands.new.parts import Files
from project.commands.new.rename import renamed
from project.errors import UserError


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, also from within a hook of another repository."""
    theirs = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    env = {name: value for name, value in os.environ.items() if name not in theirs}
    try:
        return subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("git is not installed, and new needs it") from None


def working_files(root: Path, package: str) -> Files:
    """The files below ``root`` as they are now, except those that git ignores.

    Raises:
        UserError: It is not the checkout of the package.
    """
    paths = git(root, "ls-files", "-z").stdout.split("\0")
    if f"{package}/__init__.py" not in paths:
        raise UserError(f"{root} is no checkout of the template: work from a git clone of it")
    # A tracked file may need one that was not added yet.
    paths += git(root, "ls-files", "-z", "--others", "--exclude-standard").stdout.split("\0")
    return {path: (root / path).read_bytes() for path in paths if (root / path).is_file()}


def write(files: Files, root: Path, folder: Path, package: str, name: str) -> None:
    """Write the template's files to a folder, with the package's new name.

    If that is the template's own folder, its other files are deleted, but none that git ignores.
    """
    if folder == root:
        for path in working_files(root, package).keys() - files.keys():
            delete(root / path)
        (root / package).rename(root / name)
    for path, content in files.items():
        target = folder / re.sub(rf"^{package}/", f"{name}/", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(renamed(content, package, name))
        if folder != root:
            shutil.copymode(root / path, target)
    if find_spec("ruff"):  # sort imports and wrap lines for the new name
        for words in (["check", "--select=I", "--fix"], ["format"]):
            command = [sys.executable, "-m", "ruff", *words, "--quiet", "--no-cache", "."]
            subprocess.run(command, cwd=folder, capture_output=True)


def delete(path: Path) -> None:
    """Delete a file, and the folders that then hold nothing but Python's cache."""
    path.unlink()
    for folder in path.parents:
        if any(other.name != "__pycache__" for other in folder.iterdir()):
            return
        shutil.rmtree(folder)


def commit(folder: Path, message: str) -> str:
    """Commit all files of a folder to a repository of its own; says whether that was possible."""
    git(folder, "init", "--quiet", "--initial-branch=main")  # the workflow runs on main
    git(folder, "add", "--all", "--force")
    # Where its config has no name and address, git would make them up.
    use_config = ("-c", "user.useConfigOnly=true")
    done = git(folder, *use_config, "commit", "--quiet", f"--message={message}")
    said = done.stderr.strip().splitlines() or ["git commit failed"]
    return f"staged but not committed ({said[-1]})" if done.returncode else "committed"
