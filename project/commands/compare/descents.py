"""The paths of several optimisers over the same two weights, in one picture."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from project import plots
from project.analysis.group import Group

FRAMES, SECONDS = 24, 6.0


def draw_descents(groups: Sequence[Group], picture: Path) -> bool:
    """Draw the paths that the callback Descent has recorded, as PNG and as a GIF beside it.

    Args:
        groups: The runs, of which the first one of each group is drawn.
        picture: The PNG file.

    Returns:
        Whether all groups have such a path over the same two weights.
    """
    found: dict[str, Any] = {}
    for group in groups:
        path = group.results[0].run.figures / "descent.json"
        if path.exists():
            found[group.name] = json.loads(path.read_text(encoding="utf-8"))
    if len(found) < max(len(groups), 2) or len({tuple(d["names"]) for d in found.values()}) > 1:
        return False
    plots.save_film(frames(found), picture.with_suffix(".gif"), SECONDS)
    return True


def frames(found: dict[str, Any]) -> Iterator[Any]:
    """The figures of all paths up to the same steps, over the loss around the widest of them."""
    widest = max(
        found.values(),
        key=lambda d: (d["grid"][0][-1] - d["grid"][0][0]) * (d["grid"][1][-1] - d["grid"][1][0]),
    )
    first, second = map(torch.tensor, widest["grid"])
    last = max(max(d["steps"]) for d in found.values())
    for i in range(FRAMES):
        step = round(last * i / (FRAMES - 1))
        paths = {
            name: torch.tensor([p for p, s in zip(d["path"], d["steps"], strict=True) if s <= step])
            for name, d in found.items()
        }
        title = f"step {step}: the loss of each"
        yield plots.descents(
            first, second, torch.tensor(widest["loss"]), paths, widest["names"], title
        )
