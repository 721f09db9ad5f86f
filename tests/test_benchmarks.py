"""The benchmarks' references do the work that they are compared by; no time is judged."""

import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import project.models
from project.cli.config_files import read_config
from project.data import CIFAR10
from project.run import speedups
from tests.benchmarks import (
    REPOSITORY,
    RESULTS,
    cifar10_fast,
    fit,
    input_cifar,
    input_imagenet,
    measure_each,
    plan,
)
from tests.benchmarks.cost import hours
from tests.benchmarks.gpu import waiting
from tests.benchmarks.loop import mlp
from tests.benchmarks.recipe import CIFAR, RECIPES, Rate, Recipe, chosen, merged
from tests.benchmarks.share import Stopwatch
from tests.benchmarks.speedups import measure as measure_patches
from tests.benchmarks.turns import ByHand, TakeTurns
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("Airbench", "cifar", "ImageNet", "MNIST", "ResNet")

SMALL = {"device": "cpu", "side": 64, "classes": 10, "batch": 4, "no_compile": True}


def test_inputs(cifar_root: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_cifar, "BATCH", 16)
    monkeypatch.setattr(input_imagenet, "BATCH", 4)
    ours = next(input_cifar.ours(str(cifar_root)))
    assert (ours.shape, ours.dtype) == ((16, 3, 32, 32), torch.float32)
    crops = next(input_imagenet.ours(folders, None))
    slow = next(input_imagenet.references(sorted((folders / "train").glob("*/*"))))
    assert crops.shape == slow.shape == (4, 3, 224, 224)
    assert input_imagenet.difference(next((folders / "train").glob("*/0.JPEG")), 0) < 2


def test_loop_by_hand_trains(tmp_path: Path) -> None:
    x, y = torch.randint(256, (32, 1, 28, 28), dtype=torch.uint8), torch.arange(32) % 10
    mean, std = torch.full((1, 1, 1), 128.0), torch.full((1, 1, 1), 64.0)
    make = lambda groups: torch.optim.AdamW(groups, lr=0.01)  # noqa: E731
    log = tmp_path / "hand.csv"
    by_hand = ByHand(mlp(), make, iter(lambda: (x, y), None), mean, std, log, torch.device("cpu"))
    for _ in range(2):
        by_hand.train(50)
    by_hand.file.close()
    (_, first, _), (steps, last, acc) = (row.split(",") for row in log.read_text().splitlines())
    assert (steps, float(acc) > 0.9) == ("100", True)
    assert float(last) < float(first) / 4


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_have_the_same_network_by_hand(name: str) -> None:
    recipe = Recipe.of(name, Namespace(**{**SMALL, "side": 224}))
    kind, arguments = chosen(recipe.config["model"], project.models)
    with torch.device("meta"):
        network = recipe.network()
        ours = kind(num_classes=10, input_shape=recipe.shape, **arguments)
    assert type(network).__module__.startswith("torchvision.") == ("imagenet" in name)
    counts = [sorted(p.numel() for p in part.parameters()) for part in (network, ours)]
    assert counts[0] == counts[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "mnist_lenet"])
def test_turns_and_rate(name: str, tmp_path: Path) -> None:
    recipe = Recipe.of(f"configs/{name}.yaml", Namespace(**SMALL))
    turns = TakeTurns(
        lambda trainer: {"hand": recipe.by_hand(trainer.datamodule, tmp_path)}, steps=2, turns=2
    )
    rate = Rate(1, 7)
    recipe.fit(turns, rate, flags=QUIET)
    result = turns.result()
    assert result["fit_us_per_step"] > 0
    assert result["ratio_to_hand"] > 0
    assert turns.loops["hand"].step == 8  # two turns of them warm up
    assert rate.images_per_s > 0


def test_fast_recipe_by_hand_tells_each_step(
    cifar_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = read_config(cifar10_fast.CONFIG)
    content["data"]["init_args"]["batch_size"] = 16
    monkeypatch.setattr(cifar10_fast, "read_config", lambda _: content)
    data = CIFAR10(root=str(cifar_root), val_size=10)
    data.setup("fit")
    cpu, seen = torch.device("cpu"), []
    clock = cifar10_fast.Clock(cpu, steps=25, warmup=2)
    note = lambda step: (seen.append(step), clock(step))  # noqa: E731
    cifar10_fast.train_by_hand(data, 0, cpu, 5, False, [8, 8, 8], note)
    assert seen == list(range(26))
    assert clock.seconds > 0
    assert clock.warmup_seconds > 0


def test_waiting_is_when_no_kernel_runs() -> None:
    def event(name: str, start: float, end: float, kind: str = "CUDA", user: bool = False) -> Any:
        time, device = SimpleNamespace(start=start, end=end), SimpleNamespace(name=kind)
        values = {"time_range": time, "device_type": device, "is_user_annotation": user}
        return SimpleNamespace(name=name, **values)

    events = [
        event("conv", 0, 40), event("relu", 30, 50), event("gemm", 80, 100),
        event("Memcpy HtoD", 40, 90),
        event("Optimizer.step", 0, 100, user=True), event("aten::add", 0, 100, kind="CPU"),
    ]  # fmt: skip
    assert waiting(events) == pytest.approx(0.3)


def test_one_that_fails_leaves_the_others(tmp_path: Path) -> None:
    def measure(recipe: str) -> dict[str, int]:
        return {"value": {"b": 2, "c": 3}[recipe]}

    with pytest.raises(SystemExit) as stop:
        measure_each("abc", measure, tmp_path / "found.json")
    assert stop.value.code
    found = json.loads((tmp_path / "found.json").read_text())["experiments"]
    assert found == {"a": {"failed": "KeyError"}, "b": {"value": 2}, "c": {"value": 3}}


def test_hours_of_a_training() -> None:
    """45,000 images in each of 200 epochs at 10,000 images/s are 900 s."""
    assert hours(merged(CIFAR[0]), 10_000) == 0.25


def test_plan_in_the_readme_is_the_computed_one() -> None:
    text = (REPOSITORY / "configs" / "README.md").read_text()
    shown = text.partition("<!-- plan: begin -->\n")[2].partition("\n<!-- plan: end -->")[0]
    assert shown.splitlines() == plan.table(plan.options([]))
    config = merged("configs/imagenet_resnet50.yaml")
    assert config["data"]["init_args"]["batch_size"] == plan.BATCH
    model = project.models.ResNet(depth=50, num_classes=1000, input_shape=(3, 224, 224))
    assert sum(p.numel() for p in model.parameters()) == plan.PARAMETERS


def test_plan_of_a_slow_network() -> None:
    """By hand: 102 MB go 1.75 times through a link and twice 7/8 of the way between 8 machines."""
    words = ["--network_GB_per_s=1", "--links_GB_per_s=100", "--latency_us=0"]
    step = plan.Step(64, 64 * 128, plan.options(words))
    assert step.all_reduce == pytest.approx(0.102228 * (1.75 / 100 + 1.75 / 1), rel=1e-4)
    assert step.seconds == pytest.approx(128 / 2900 + step.all_reduce - 2 / 3 * 128 / 2900)
    assert "network" in step.limits


@pytest.mark.slow
def test_stopwatch_counts_the_models_work_once(tmp_path: Path) -> None:
    watch = Stopwatch()
    fit(["fit", "--trainer.max_epochs=3", f"--runs_dir={tmp_path}", *QUIET], watch)
    assert len(watch.epochs) == 2
    assert all(0 < inside < whole for whole, inside in watch.epochs)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_figures_say_where_they_come_from(path: Path) -> None:
    measured = json.loads(path.read_text())["measured"]
    assert measured["command"].startswith("python -m tests.benchmarks.")
    assert measured.keys() >= {"commit", "torch", "lightning", "cpu", "gpu"}
    assert not measured["commit"].endswith("dirty")
    assert not any(f"{folder}/" in path.read_text() for folder in ("/tmp", "/home"))


@pytest.mark.slow
def test_each_patch_is_off_in_turn(tmp_path: Path) -> None:
    words = ["fit", "--trainer.max_epochs=100", f"--runs_dir={tmp_path}", *QUIET]
    result = measure_patches(words, steps=2, rounds=2)
    assert result.pop("us_per_step") > 0
    names = [patch.__name__ for patch in speedups.PATCHES]
    assert len(names) > 1
    assert result.keys() == {f"gain_of_{name}" for name in ("all", *names)}
