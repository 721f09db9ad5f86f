"""Pictures in motion: what they are drawn from equals plain loops, and their files are small and move."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from project.callbacks.motion.landscape import directions_of
from project.callbacks.motion.motion import Motion
from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.conftest import QUIET

Fit = Callable[..., CLI]
Fails = Callable[..., str]
LINE = [
    *("--model=MLP", "--model.hidden=[]", "--objective=Regression", "--data=Points"),
    *("--data.kind=line", "--data.standardize=false", "--data.samples=200"),
    *("--data.batch_size=180", "--trainer.max_epochs=50"),
]
MOONS = [
    *("--model=MLP", "--model.hidden=[8,8]", "--data=Points", "--data.batch_size=60"),
    *("--trainer.max_epochs=2", "--optimizer.lr=0.02"),
]
pytestmark = pytest.mark.needs("points")


def drawn_by(kind: str, **options: object) -> list[str]:
    words = [f"--trainer.callbacks+=project.callbacks.{kind}"]
    return words + [f"--trainer.callbacks.{name}={value}" for name, value in options.items()]


def moves(run: Run, name: str) -> int:
    """Number of frames of a picture, which is small; its last frame is a PNG."""
    path = run.figures / f"{name}.gif"
    assert path.stat().st_size < 800_000
    assert path.with_suffix(".png").exists()
    with Image.open(path) as picture:
        return picture.n_frames


# ---------------------------------------------------------------- descent


def sgd(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    return -lr * g


def momentum(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) + g
    return -lr * s["v"]


def nesterov(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) + g
    return -lr * (g + 0.9 * s["v"])


def adagrad(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    s["r"] = s.get("r", 0) + g**2
    return -lr * g / (np.sqrt(s["r"]) + 1e-10)


def rmsprop(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    s["r"] = 0.99 * s.get("r", 0) + 0.01 * g**2
    return -lr * g / (np.sqrt(s["r"]) + 1e-8)


def adam(g: np.ndarray, s: dict, lr: float) -> np.ndarray:
    s["t"] = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["r"] = 0.999 * s.get("r", 0) + 0.001 * g**2
    mean, square = s["m"] / (1 - 0.9 ** s["t"]), s["r"] / (1 - 0.999 ** s["t"])
    return -lr * mean / (np.sqrt(square) + 1e-8)


RULES = {
    "SGD": (sgd, 0.1, ["--optimizer=SGD"]),
    "momentum": (momentum, 0.02, ["--optimizer=SGD", "--optimizer.momentum=0.9"]),
    "Nesterov": (
        nesterov,
        0.02,
        ["--optimizer=SGD", "--optimizer.momentum=0.9", "--optimizer.nesterov=true"],
    ),
    "Adagrad": (adagrad, 0.5, ["--optimizer=Adagrad"]),
    "RMSprop": (rmsprop, 0.05, ["--optimizer=RMSprop"]),
    "Adam": (adam, 0.2, ["--optimizer=Adam"]),
}


def test_paths_are_those_of_the_lectures_rules(fit: Fit) -> None:
    """Six optimisers from the same start, over 50 steps."""
    starts = []
    for name, (rule, rate, flags) in RULES.items():
        flags = [*flags, f"--optimizer.lr={rate}", f"--experiment={name}"]
        cli = fit(*LINE, *flags, *drawn_by("Descent", points=5, frames=30))
        found = json.loads((cli.run.figures / "descent.json").read_text())
        assert found["names"] == ["weight", "bias"]
        assert found["steps"] == list(range(51))
        data = cli.datamodule
        x = data.train_set.x[data.train_indices][:, 0].double().numpy()
        y = data.train_set.y[data.train_indices].double().numpy()
        place, state = np.array(found["path"][0][:2]), {}
        starts.append(tuple(place))
        for a, b, loss in found["path"]:
            assert np.allclose([a, b], place, atol=1e-5), name
            error = place[0] * x + place[1] - y
            assert loss == pytest.approx((error**2).mean(), rel=1e-4)
            place = place + rule(np.array([2 * (error * x).mean(), 2 * error.mean()]), state, rate)
        grid, surface = found["grid"], np.array(found["loss"])
        error = grid[0][1] * x + grid[1][3] - y
        assert surface[3, 1] == pytest.approx((error**2).mean(), rel=1e-4)
    assert len(set(starts)) == 1


@pytest.mark.needs("compare")
def test_compare_draws_the_paths_in_one_picture(
    fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SGD", "Adam"):
        flags = [*RULES[name][2], "--optimizer.lr=0.1", f"--experiment={name}"]
        fit(*LINE, *flags, *drawn_by("Descent", points=5, frames=12))
    capsys.readouterr()
    main(["compare", "runs/SGD", "runs/Adam", "--picture=all.png"])
    assert "descents: all_descent.png" in capsys.readouterr().out
    with Image.open("all_descent.gif") as picture:
        assert picture.n_frames > 10


@pytest.mark.slow
@pytest.mark.parametrize("directions", ["path", "random"])
def test_a_larger_network_is_drawn_over_two_directions(directions: str, fit: Fit) -> None:
    cli = fit(*MOONS, *drawn_by("Descent", points=5, frames=4, directions=directions))
    found = json.loads((cli.run.figures / "descent.json").read_text())
    assert np.allclose(found["path"][-1][:2], 0, atol=1e-4)  # the end is the origin
    assert moves(cli.run, "descent") == 4


def test_random_directions_have_the_norms_of_the_filters() -> None:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.BatchNorm2d(4))
    first, second = directions_of(layers, torch.empty(0), "random")
    weight = layers[0].weight.detach()
    for direction in (first, second):
        drawn = direction[: weight.numel()].view_as(weight)
        assert torch.allclose(drawn.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
        assert not direction[weight.numel() :].any()
    assert not torch.equal(first, second)


def test_the_path_is_longest_along_its_directions() -> None:
    path = torch.randn(9, 50, generator=torch.Generator().manual_seed(1)).cumsum(0)
    first, second = directions_of(torch.nn.Module(), path, "path")
    moved = (path - path[-1]).double().numpy()
    _, vectors = np.linalg.eigh(moved.T @ moved)
    assert abs(vectors[:, -1] @ first.double().numpy()) == pytest.approx(1, abs=1e-5)
    assert abs(vectors[:, -2] @ second.double().numpy()) == pytest.approx(1, abs=1e-5)


# ---------------------------------------------------------------- the others


def test_each_moves_changes_nothing_and_resumes(fit: Fit) -> None:
    kinds = ["Boundary", "Backprop", "Neuron", "Batches"]
    flags = [word for kind in kinds for word in drawn_by(kind, frames=3)]
    plain = fit(*MOONS, "--trainer.max_epochs=4", "--experiment=plain")
    moving = fit(*MOONS, "--trainer.max_epochs=4", *flags, "--experiment=moving")
    fit(*MOONS, "--trainer.max_epochs=2", *flags, "--experiment=parts")
    run = find_run(Path("runs/parts"))
    parts = fit("--run", str(run.folder), "--trainer.max_epochs=4")
    state = plain.model.state_dict()
    for other in (moving, parts):
        for name, tensor in other.model.state_dict().items():
            assert torch.equal(tensor, state[name])
    assert plain.run.metrics.read_bytes() == moving.run.metrics.read_bytes()
    for name in ("boundary", "backprop", "neuron", "batches"):
        assert moves(moving.run, name) == moves(parts.run, name) == 3
    for one, two in zip(moving.trainer.callbacks, parts.trainer.callbacks, strict=True):
        if isinstance(one, Motion):
            assert one.moments.keys() == two.moments.keys()
            for step, moment in one.moments.items():
                assert all(torch.equal(x, two.moments[step][name]) for name, x in moment.items())


@pytest.mark.needs("report")
def test_a_report_has_the_pictures(fit: Fit) -> None:
    kinds = ["Boundary", "Backprop", "Neuron", "Batches"]
    flags = [word for kind in kinds for word in drawn_by(kind, frames=2)]
    run = fit(*MOONS, "--trainer.max_epochs=1", *flags).run
    main(["report", str(run.folder)])
    page = (run.folder / "report.html").read_text()
    for title in ("says of each point", "A neuron", "Gradients by layer", "samples of each batch"):
        assert title in page


def test_boundary_has_the_networks_probabilities(fit: Fit) -> None:
    cli = fit(*MOONS, *drawn_by("Boundary", frames=2, points=7))
    [boundary] = [c for c in cli.trainer.callbacks if type(c).__name__ == "Boundary"]
    last = boundary.moments[max(boundary.moments)]["values"].view(7, 7, 2)
    grid, data = boundary.grid(cli.trainer), cli.datamodule
    x = (grid - torch.tensor(data.mean)) / torch.tensor(data.std)
    cli.model.load_state_dict(torch.load(cli.run.checkpoint("last"))["state_dict"])
    with torch.no_grad():
        expected = cli.model.eval()(x).softmax(1).view(7, 7, 2)
    assert torch.allclose(last, expected, atol=1e-6)
    assert torch.allclose(grid.view(7, 7, 2)[0, :, 0], grid.view(7, 7, 2)[6, :, 0])


def test_backprop_has_the_norms_of_the_gradients(fit: Fit) -> None:
    step = [*LINE, "--trainer.max_epochs=1", "--optimizer=SGD", "--optimizer.lr=0"]
    cli = fit(*step, *drawn_by("Backprop"))
    [backprop] = [c for c in cli.trainer.callbacks if type(c).__name__ == "Backprop"]
    data, head = cli.datamodule, cli.model.head
    x, y = data.train_set.__getitems__(data.train_indices)
    error = x @ head.weight.detach().T + head.bias.detach() - y[:, None]
    gradient = abs(float(2 * (error * x).mean()))
    assert float(backprop.moments[1]["norms"][0]) == pytest.approx(gradient, rel=1e-4)


@pytest.mark.needs("LeNet", "mnist")
def test_convolution_fills_the_layers_map(fit: Fit, mnist_root: Path) -> None:
    flags = ["--model=LeNet", "--data=MNIST", f"--data.root={mnist_root}", "--trainer.max_epochs=1"]
    cli = fit(*flags, *drawn_by("Convolution", frames=3, channel=2))
    assert moves(cli.run, "convolution") == 6


@pytest.mark.parametrize(
    ("kind", "flags", "said"),
    [
        ("Boundary", ["--data=Digits"], "Boundary draws classes of samples of two features"),
        ("Convolution", ["--data=Digits"], "which this model lacks"),
        ("Neuron", ["--data=Digits", "--trainer.callbacks.unit=500"], "give another unit"),
        ("Descent", ["--data=Digits", "--model.hidden=[3000]"], "of 2 to 200,000 weights"),
        ("Descent", ["--data=Digits", "--trainer.callbacks.frames=1"], "two frames or more"),
    ],
)
def test_what_cannot_be_drawn(kind: str, flags: list[str], said: str, fails: Fails) -> None:
    data, *rest = flags
    words = ["fit", *QUIET, "--model=MLP", data, "--trainer.max_epochs=1", *drawn_by(kind), *rest]
    assert said in fails(*words)
