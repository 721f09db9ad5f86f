"""The benchmarks run, and their references do the work that they are compared by; nothing is timed here."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from project.models import ResNet
from tests.benchmarks import RESULTS, fit, input_cifar, input_imagenet, loop
from tests.benchmarks.recipe import CONFIGS, Rate, Recipe
from tests.benchmarks.share import Stopwatch
from tests.benchmarks.turns import ByHand, TakeTurns
from tests.conftest import QUIET

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
    by_hand = ByHand(loop.mlp(), make, iter(lambda: (x, y), None), mean, std, log, torch.device("cpu"))
    for _ in range(2):
        by_hand.train(50)
    by_hand.file.close()
    (_, first, _), (steps, last, acc) = (row.split(",") for row in log.read_text().splitlines())
    assert (steps, float(acc) > 0.9) == ("100", True)
    assert float(last) < float(first) / 4


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_recipes_have_torchvisions_network(config: Path) -> None:
    recipe = Recipe.of(config, Namespace(**{**SMALL, "side": 224}))
    network = recipe.network()
    assert type(network).__module__.startswith("torchvision.models")
    if config.stem == "imagenet_resnet50":
        with torch.device("meta"):
            ours = ResNet(depth=50, num_classes=10, input_shape=(3, 224, 224))
        assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in ours.parameters())


def test_turns_and_rate(tmp_path: Path) -> None:
    recipe = Recipe.of(CONFIGS[-1], Namespace(**SMALL))
    turns = TakeTurns(lambda trainer: {"hand": recipe.by_hand(trainer.datamodule)}, steps=2, turns=2)
    rate = Rate(1, 7)
    fit([*recipe.words(tmp_path), *QUIET], turns, rate)
    result = turns.result()
    assert result["fit_us_per_step"] > 0
    assert result["ratio_to_hand"] > 0
    assert turns.loops["hand"].step == 8  # two turns of them warm up
    assert rate.images_per_s > 0


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
    assert not any(f"{folder}/" in path.read_text() for folder in ("/tmp", "/home"))
