"""`Descent`: the loss over two weights or two directions, and the path that the optimiser took."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from project import plots
from project.callbacks.motion.landscape import directions_of, names_of, training_loss
from project.callbacks.motion.motion import Moment, Motion
from project.errors import UserError
from project.run.folder import write_atomically

MOST = 200_000  # weights of which a path is kept


class Descent(Motion):
    """Draws the training loss around the path of the optimiser, as contours and as a surface.

    A network of two weights is drawn over these. Of a larger one the loss is drawn over two
    directions: those in which its path is longest (Li et al., 2018, section 7.2), or random ones
    with each filter scaled to that of the trained network (section 4). ``compare`` draws the paths
    of several runs in one picture.

    Args:
        frames: Greatest number of frames.
        seconds: How long the picture moves.
        points: Number of points of the grid along each axis.
        directions: ``path`` or ``random``, of a network of more than two weights.
    """

    name = "descent"

    def __init__(
        self,
        frames: int = 30,
        seconds: float = 6.0,
        points: int = 31,
        directions: Literal["path", "random"] = "path",
    ) -> None:
        super().__init__(frames, seconds)
        self.points, self.directions = points, directions

    def check(self, trainer: L.Trainer, model: Any) -> None:
        count = sum(p.numel() for p in model.parameters() if p.requires_grad)
        if not hasattr(model, "objective") or not 2 <= count <= MOST:
            raise UserError(
                f"Descent draws a network of 2 to {MOST:,} weights with an objective, not of "
                f"{count:,}: leave it out"
            )

    def look(self, trainer: L.Trainer, model: Any) -> Moment:
        weights = (p.detach() for p in model.parameters() if p.requires_grad)
        return {"weights": parameters_to_vector(weights).float().cpu().clone()}

    def figures(self, trainer: L.Trainer) -> Iterator[Any]:
        model: Any = trainer.lightning_module
        steps = sorted(self.moments)
        path = torch.stack([self.moments[step]["weights"] for step in steps])
        end = path[-1].clone()
        origin = torch.zeros_like(end) if path.shape[1] == 2 else end
        axes = torch.eye(2) if path.shape[1] == 2 else directions_of(model, path, self.directions)
        places = (path - origin) @ torch.linalg.pinv(axes)  # (T, 2)
        lines = [span(places[:, k], self.points) for k in range(2)]
        trained = [p for p in model.parameters() if p.requires_grad]

        def loss_at(weights: Tensor) -> float:
            vector_to_parameters(weights.to(trained[0]), trained)
            return training_loss(trainer, model)

        rows = [[loss_at(origin + a * axes[0] + b * axes[1]) for a in lines[0]] for b in lines[1]]
        losses = [loss_at(weights) for weights in path]
        vector_to_parameters(end.to(trained[0]), trained)
        names = names_of(model) if path.shape[1] == 2 else ("first direction", "second direction")
        surface = torch.tensor(rows)
        self.write(trainer, names, lines, surface, places, losses)
        for step in self.shown_steps():
            i = steps.index(step)
            title = f"step {step}: loss {losses[i]:.4g}"
            so_far = torch.cat([places[: i + 1], torch.tensor(losses[: i + 1])[:, None]], 1)
            yield plots.descent(lines[0], lines[1], surface, so_far, names, title)

    def write(
        self,
        trainer: L.Trainer,
        names: tuple[str, str],
        lines: list[Tensor],
        surface: Tensor,
        places: Tensor,
        losses: list[float],
    ) -> None:
        """Write what is drawn as numbers, for `compare`."""
        assert self.run is not None
        content = {
            "names": names,
            "grid": [line.tolist() for line in lines],
            "loss": surface.tolist(),
            "steps": sorted(self.moments),
            "path": [[*place, loss] for place, loss in zip(places.tolist(), losses, strict=True)],
            "optimizer": type(trainer.optimizers[0]).__name__,
        }
        self.run.figures.mkdir(parents=True, exist_ok=True)
        write_atomically(self.run.figures / "descent.json", json.dumps(content))


def span(values: Tensor, points: int) -> Tensor:
    """Numbers from below the least to above the greatest value, equally far apart."""
    low, high = float(values.min()), float(values.max())
    margin = 0.35 * (high - low) or 1.0
    return torch.linspace(low - margin, high + margin, points)
