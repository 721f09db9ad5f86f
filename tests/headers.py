"""The commands that the files in configs/ and their README name."""

import re
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"


def fit_commands(path: Path) -> list[str]:
    """What stands behind ``python -m project fit`` in comments and in Markdown's code."""
    return [
        found.strip() for found in re.findall(r"python -m project fit ([^`#\n]+)", path.read_text())
    ]
