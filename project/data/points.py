"""Points in the plane and on a line, drawn from a seed."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch

from project.data.features import Features
from project.data.sampler import TensorImages
from project.errors import UserError
from project.run.seeds import derive_seed

Classes = Literal["moons", "circles", "blobs", "spirals"]
Curves = Literal["line", "sine"]
# Standard deviation of the noise.
NOISE = {"moons": 0.2, "circles": 0.1, "blobs": 1.0, "spirals": 0.05, "line": 0.5, "sine": 0.2}


class Points(Features):
    """Points (x1, x2) of several classes, or points x1 with a real value, to look at.

    Moons, circles and blobs are scikit-learn's. A spiral turns once and a half; a line is
    1.5 x1 - 0.5 and a sine sin(2 x1), with x1 from 0 to 4. The test set is drawn from another seed.

    Args:
        kind: moons and circles have two classes, blobs and spirals any number; line and sine have
            a real value, for the objective ``Regression``.
        samples: Number of points for training and validation, and again for testing.
        classes: Number of blobs or spirals.
        noise: Standard deviation of the noise; None for one that suits the kind.
        points_seed: Seed of the points, apart from the seed of the training.
        **kwargs: The arguments of `Features`.
    """

    def __init__(
        self,
        kind: Classes | Curves = "moons",
        samples: int = 400,
        classes: int = 3,
        noise: float | None = None,
        points_seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if samples < 10 or classes < 2 or (noise or 0) < 0:
            raise UserError(
                f"--data.samples {samples} must be 10 or more, --data.classes {classes} 2 or more, "
                "and --data.noise not negative"
            )
        self.kind, self.samples, self.classes = kind, samples, classes
        self.noise = NOISE[kind] if noise is None else noise
        self.points_seed = points_seed
        self.num_classes, self.input_shape = self.metadata({"kind": kind, "classes": classes})
        self.feature_names = ("x1", "x2")[: self.input_shape[0]]

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        kind = arguments["kind"]
        if kind in get_args(Curves):
            return 1, (1,)
        return arguments["classes"] if kind in ("blobs", "spirals") else 2, (2,)

    @property
    def class_names(self) -> Sequence[str]:  # type: ignore[override]
        if self.kind in get_args(Curves):
            return ("y",)
        return tuple(f"class {k}" for k in range(self.num_classes))

    def load(self, train: bool) -> TensorImages:
        seed = derive_seed(self.points_seed, 0 if train else 1) % 2**32
        x, y = draw(self.kind, self.samples, self.num_classes, self.noise, seed)
        targets = torch.from_numpy(y)
        targets = targets.float() if self.kind in get_args(Curves) else targets.long()
        return TensorImages(torch.from_numpy(x).float(), targets)


def draw(
    kind: str, samples: int, classes: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) with classes (N,), or points (N, 1) with values (N,)."""
    from sklearn.datasets import make_blobs, make_circles, make_moons

    if kind == "moons":
        return make_moons(samples, noise=noise, random_state=seed)
    if kind == "circles":
        return make_circles(samples, noise=noise, factor=0.5, random_state=seed)
    if kind == "blobs":
        angles = 2 * math.pi * np.arange(classes) / classes
        centers = 3 * np.stack([np.cos(angles), np.sin(angles)], 1)
        return make_blobs(samples, centers=centers, cluster_std=noise, random_state=seed)
    random = np.random.default_rng(seed)
    if kind == "spirals":
        y = np.arange(samples) % classes
        radius = np.sqrt(random.uniform(0.01, 1, samples))  # alike often at each place of the disc
        angles = 3 * math.pi * radius + 2 * math.pi * y / classes
        x = radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        return x + noise * random.standard_normal(x.shape), y
    x = random.uniform(0, 4, (samples, 1))
    clean = np.sin(2 * x[:, 0]) if kind == "sine" else 1.5 * x[:, 0] - 0.5
    return x, clean + noise * random.standard_normal(samples)
