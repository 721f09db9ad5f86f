"""The origin of a run: the code, command and packages that it started with."""

from typing import Any

PACKAGES = ("torch", "torchvision", "lightning")  # whose versions are published with results


def commit(environment: dict[str, Any]) -> str:
    """The commit of the code in an environment.json."""
    git = environment["git"]
    return "unknown" if git is None else git["commit"] + (" with changes" if git["diff"] else "")


def command(environment: dict[str, Any]) -> str:
    """The command line in an environment.json, without the path of its Python."""
    return "python " + environment["command"].partition(" ")[2]
