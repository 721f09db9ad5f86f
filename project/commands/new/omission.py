"""Leaving parts out of a template: their files, what is about them alone, and what lists them."""

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from project.cli.arguments import DEFAULT_CONFIG
from project.commands.new.parts import FOLDERS, Files, Part, uncommented


def without(files: Files, parts: Sequence[Part], package: str) -> Files:
    """The files of the template without some parts and their configs, results and tests."""
    commands = any_of(part.name for part in parts if not part.classes)
    classes = rf"\b{any_of(name for part in parts for name in part.classes)}\b"

    def goes(path: str, content: bytes) -> bool:
        if path.startswith("configs/") and path.endswith(".yaml"):
            command = re.search(rf"-m {package} (\w+)", content.decode())  # in its header
            for_command = command and re.fullmatch(commands, command[1])
            return bool(for_command or re.search(classes, uncommented(content)))
        needs = needed_parts(content) if path.startswith("tests/") else set()
        return any(part.owns(path) or part.name in needs for part in parts)

    gone = {path for path, content in files.items() if goes(path, content)}
    recipes = any_of(Path(path).stem for path in gone if Path(path).match("configs/*.yaml"))
    gone |= {
        path for path in files if re.fullmatch(rf"configs/results/{recipes}(\+.*)?\.json", path)
    }
    left = {path: content for path, content in files.items() if path not in gone}
    lists = [f"{package}/{name}/__init__.py" for name in FOLDERS]
    for path in [*lists, "pyproject.toml"]:
        left[path] = unlisted(left[path].decode(), parts, package).encode()
    default = f"configs/{DEFAULT_CONFIG.name}"  # for what overlays are shown with
    gone_configs = any_of(path for path in gone if path.endswith(".yaml"))
    for path in [path for path in left if path.startswith("configs/") and path.endswith(".yaml")]:
        header = re.sub(rf"^#.*-m {package} .*{classes}.*\n", "", left[path].decode(), flags=re.M)
        left[path] = re.sub(gone_configs, default, header).encode()
    named = re.compile(f"{classes}|-m {package} {commands}\\b|`{commands}`|{any_of(gone)}")
    for path in [path for path in left if path.endswith(".md")]:
        left[path] = unmentioned(left[path].decode(), named, gone).encode()
    return left


def any_of(words: Iterable[str]) -> str:
    """A regular expression for any of the words, and for nothing if there is none."""
    return f"(?:{'|'.join(map(re.escape, words)) or '(?!)'})"


def needed_parts(test: bytes) -> set[str]:
    """The parts that the ``pytestmark`` of a file of tests says it needs, in lower case."""
    marks = ast.parse(test).body if b"\npytestmark = " in test else []
    marks = [node for node in marks if ast.unparse(node).startswith("pytestmark = ")]
    calls = [node for mark in marks for node in ast.walk(mark) if isinstance(node, ast.Call)]
    needs = [call for call in calls if ast.unparse(call.func) == "pytest.mark.needs"]
    return {str(ast.literal_eval(word)).lower() for call in needs for word in call.args}


def unlisted(text: str, parts: Sequence[Part], package: str) -> str:
    """An ``__init__`` or pyproject.toml without the lines that list a part."""
    for part in parts:
        lines = [rf"from {part.module} import (?:.*\($(?:.|\n)*?\)|.*)"]
        lines += [rf' *"{name}",' for name in part.classes]  # in __all__
        if not part.classes:
            lines += [
                rf' *"{part.name}": .*',  # the commands
                rf'"{part.module}" = .*',  # package data
                rf"{part.name} = \[.*",  # an extra
            ]
            text = re.sub(rf"(?<={package}\[)([\w,]*?)\b{part.name}\b,?", r"\1", text)
        text = re.sub(rf"^(?:{'|'.join(lines)})\n", "", text, flags=re.M)
    return text.replace(",]", "]").replace(f'"{package}[]", ', "")


def unmentioned(markdown: str, named: re.Pattern[str], gone: set[str]) -> str:
    """A Markdown file without table rows and shell commands about a part.

    Sentences are the user's to rewrite: "(left out)" follows the names of files that are gone.
    """
    lines, fence = [], ""
    for line in markdown.splitlines(keepends=True):
        if line.startswith("```"):
            fence = "" if fence else line.strip()
        cells = line.split("|")[1:3] if line.startswith("|") else []
        # A row is about its first cell, or about the command in its second one.
        about = [line] if fence == "```sh" else [c for c in cells if c is cells[0] or " -m " in c]
        lines += [] if named.search(" ".join(about)) else [line]
    left_out = rf"`({any_of(gone)})`"
    return re.sub(left_out, r"\1 (left out)", "".join(lines)).replace("```sh\n```\n", "")
