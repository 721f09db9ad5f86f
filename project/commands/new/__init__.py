"""Make a project of your own: a copy of this template under another name.

All files but those that git ignores are copied to DIR as they are now, the package is renamed, and
the parts that you will not use are left out. With the template's own folder as DIR, as after
GitHub's "Use this template", the package is renamed where it is, and the changes are left for you
to commit.
"""

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project.commands.new.checkout import commit, git, working_files, write
from project.commands.new.omission import without
from project.commands.new.parts import Files, chosen_parts
from project.errors import UserError, writing
from project.run.folder import shown

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = __name__.partition(".")[0]


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("dir", type=Path, help="A new folder, or that of the template itself.")
    parser.add_argument(
        "--name", type=str | None, help="Name of the package; that of the folder if not given."
    )
    parser.add_argument(
        "--without",
        default="",
        help="Commands, architectures and datasets to leave out, such as sweep,googlenet,imagenet.",
    )


def run(arguments: Any) -> None:
    """Check everything, then write the files and say how to go on.

    Raises:
        UserError: The folder, the name or a part is wrong, or a file cannot be written.
    """
    folder, files = arguments.dir.resolve(), working_files(ROOT, PACKAGE)
    name = arguments.name or re.sub(r"\W+", "_", folder.name)
    check_folder(folder)
    check_name(name, files)
    parts = chosen_parts(re.findall(r"[^\s,]+", arguments.without), files, PACKAGE)
    if folder == ROOT and name == PACKAGE and not parts:
        raise UserError(f"the package is called {name} already: give another --name")
    with writing(folder):
        write(without(files, parts, PACKAGE), ROOT, folder, PACKAGE, name)
    state = "for you to commit"
    if folder != ROOT:
        revision = git(ROOT, "rev-parse", "--short", "HEAD").stdout.strip()
        state = commit(folder, f"Start {name} from {PACKAGE} {revision}")
    if parts:
        print("left out:", ", ".join(part.name for part in parts))
    if name not in (arguments.name, folder.name):
        print(f"the package is called {name}, because {folder.name} is no name in Python")
    print(f"the package {name} is in {shown(folder)}, {state}; go on with")
    steps = ('pip install -e ".[test]"', f"python -m {name} fit", "python -m pytest")
    for step in steps if folder == Path.cwd() else (f"cd {shown(folder)}", *steps):
        print(f"  {step}")


def check_folder(folder: Path) -> None:
    """Raise UserError unless the folder is new, empty, or the template without changes."""
    if folder == ROOT:
        if git(ROOT, "status", "--porcelain").stdout:
            raise UserError(f"{ROOT} has uncommitted changes: commit them, then rename in place")
    elif folder.is_relative_to(ROOT):
        raise UserError(f"{folder} lies inside the template: give a folder outside of {ROOT}")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: give a new folder, or an empty one")


def check_name(name: str, files: Files) -> None:
    """Raise UserError unless a package can have this name, and nothing else has it."""
    # Folders in the working directory, where DIR may lie, are no installed modules.
    searched = [path for path in sys.path if Path(path).resolve() not in (Path.cwd(), ROOT)]
    if name == PACKAGE:
        return
    if not re.fullmatch(r"[A-Za-z](\w*[A-Za-z0-9])?", name, re.ASCII) or keyword.iskeyword(name):
        why = "is no name for a package in Python"
    elif any(path.startswith(f"{name}/") for path in files):
        why = "is a folder of the template"
    elif not git(ROOT, "check-ignore", "--quiet", f"{name}/").returncode:
        why = "is a folder that .gitignore leaves out"
    elif name in sys.stdlib_module_names or PathFinder.find_spec(name, searched):
        why = "is the name of an installed module"
    else:
        return
    raise UserError(f"{name} {why}: give another one, such as --name my_lab")
