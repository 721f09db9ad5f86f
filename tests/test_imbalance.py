"""Classes of unequal sizes: weights, sampling, focal loss and macro metrics against scikit-learn and slow loops."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight
from torchvision.ops import sigmoid_focal_loss

from project import load
from project.cli.main import CLI, main
from project.cli.summary import print_worst_classes
from project.data.balance import balanced_order
from project.data.sampler import TrainBatches
from project.models import Classification, MultiLabel
from project.models.objectives.losses import focal
from project.models.objectives.macro import MacroScore
from project.run.folder import Run
from tests.conftest import QUIET
from tests.kill_and_resume import equal

RARE = """
from project.data import Digits
from project.data.sampler import TensorImages

class Rare(Digits):
    def load(self, train):
        data = super().load(train)
        keep = (data.y != 3) | ((data.y == 3).cumsum(0) % 10 == 1)
        return TensorImages(data.x[keep], data.y[keep])

class Without(Digits):
    def load(self, train):
        data = super().load(train)
        return TensorImages(data.x[data.y != 3], data.y[data.y != 3])
"""
ON_RARE = ["--model=MLP", "--data=rare.Rare", "--optimizer.lr=0.003"]
BALANCED = [
    *ON_RARE,
    *("--objective.class_weights=auto", "--data.balance=0.5"),
    "--model_checkpoint.monitor=val/acc_macro",
    *("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/f1"),
    "--trainer.callbacks.mode=max",
]


@pytest.fixture(autouse=True)
def rare(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rare.py").write_text(RARE)
    monkeypatch.syspath_prepend(Path().absolute())


def test_weights_are_balanced_and_stay_with_the_run(fit: Callable[..., CLI]) -> None:
    whole = fit(*BALANCED, "--trainer.max_epochs=2")
    data, y = whole.datamodule, whole.datamodule.train_targets.numpy()
    truth = compute_class_weight("balanced", classes=np.arange(10), y=y)
    assert np.allclose(whole.model.objective.class_weights.values.numpy(), truth)
    assert truth[y].mean() == pytest.approx(1)

    # The loss of the evaluation is the weighted mean over the whole split, whatever its batches are.
    run = str(whole.run.folder)
    again = main(["validate", "--run", run, "--data.batch_size=33", *QUIET])
    assert again is not None
    for cli in (whole, again):
        x, y = data.to_input(*data.train_set.__getitems__(data.val_indices))
        with torch.no_grad():
            outputs = cli.model.eval()(x)
        loss = F.cross_entropy(outputs, y, torch.tensor(truth, dtype=torch.float32))
        assert cli.result["val/loss"] == pytest.approx(float(loss), abs=1e-5)
        predicted = outputs.argmax(1)
        assert cli.result["val/acc_macro"] == pytest.approx(
            balanced_accuracy_score(y, predicted), abs=1e-6
        )
        assert cli.result["val/f1"] == pytest.approx(
            f1_score(y, predicted, average="macro"), abs=1e-6
        )
    assert np.allclose(load(run).model.objective.class_weights.values.numpy(), truth)


@pytest.mark.slow
def test_a_balanced_run_that_goes_on_equals_a_whole_one(fit: Callable[..., CLI]) -> None:
    args = [*BALANCED, "--trainer.max_epochs=3"]
    whole = fit(*args, "--experiment=whole")
    half = fit(*args, "--trainer.max_steps=17", "--experiment=half")
    half = fit("--run", str(half.run.folder), "--trainer.max_steps=-1")
    ends = [torch.load(cli.run.checkpoint("last"), weights_only=True) for cli in (whole, half)]
    assert equal(ends[0]["state_dict"], ends[1]["state_dict"])
    assert equal(ends[0]["optimizer_states"], ends[1]["optimizer_states"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--data=rare.Without", "--objective.class_weights=auto"], "sample is of class 3: give"),
        (["--data=Digits", "--objective.class_weights=[1, 2]"], "2 class_weights for 10 classes"),
        (["--data=Digits", "--data.balance=2"], "--data.balance 2.0 must lie between 0 and 1"),
        (["--data=Digits", "--objective.focal_gamma=-1"], "focal_gamma -1.0 must not be negative"),
        (
            ["--data=Digits", "--objective.focal_gamma=1", "--objective.loss=mse"],
            "needs the loss cross_entropy",
        ),
    ],
)
def test_what_cannot_be_balanced(args: list[str], said: str, fails: Callable[..., str]) -> None:
    assert said in fails("fit", *QUIET, "--model=MLP", "--trainer.max_epochs=1", *args)


@pytest.mark.slow
def test_weights_are_not_known_without_a_training_with_them(
    run_copy: Run, fails: Callable[..., str]
) -> None:
    run = str(run_copy.folder)
    said = fails("test", "--run", run, "--objective.class_weights=auto", *QUIET)
    assert "class_weights auto are counted when training starts" in said
    with pytest.raises(ValueError, match="needs one class for each training sample"):
        Classification(class_weights="auto").prepare(data=None, num_outputs=2)


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_rare_classes_are_drawn_more_often(balance: float) -> None:
    counts = torch.tensor([700, 0, 200, 90, 10])
    classes = torch.arange(5).repeat_interleave(counts)
    share = np.where(counts.numpy() > 0, counts.double().numpy() ** (1 - balance), 0)
    expected, found = 1000 * share / share.sum(), np.zeros(5)
    for seed in range(50):
        drawn = balanced_order(classes, balance, torch.Generator().manual_seed(seed))
        times = drawn.bincount(minlength=1000)
        assert len(drawn) == 1000
        for k in (0, 2, 3, 4):  # the samples of a class come as often as each other
            assert np.ptp(times[classes == k].numpy()) <= 1
            assert abs(int(times[classes == k].sum()) - expected[k]) < 1
        found += classes[drawn].bincount(minlength=5).numpy() / 50
        if balance == 0:
            assert torch.equal(times, torch.ones(1000, dtype=torch.int64))
    assert np.allclose(found, expected, atol=0.3)


@pytest.mark.parametrize("world", [2, 4])
def test_balanced_batches_do_not_depend_on_the_devices(world: int) -> None:
    indices, classes = torch.arange(1003) * 2, (torch.arange(1003) % 20 == 0).long()
    whole, *ranks = (
        TrainBatches(indices, 64, 5, rank, count, classes=classes, balance=1.0)
        for rank, count in [(0, 1), *((rank, world) for rank in range(world))]
    )
    for batches in (whole, *ranks):
        batches.set_epoch(3)
    found = [torch.cat(parts) for parts in zip(*ranks, strict=True)]
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in whole]
    assert len(whole) == len(list(whole)) == 15
    rare = (torch.cat(found) % 40 == 0).float().mean()
    assert float(rare) == pytest.approx(0.5, abs=0.02)
    ranks[0].set_epoch(4)
    assert next(iter(ranks[0])).tolist() != found[0][: 64 // world].tolist()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss(gamma: float) -> None:
    torch.manual_seed(0)
    z, y = 3 * torch.randn(50, 1), torch.randint(2, (50,))
    two = torch.cat([torch.zeros_like(z), z], 1)
    truth = sigmoid_focal_loss(z[:, 0], y.float(), alpha=-1, gamma=gamma, reduction="mean")
    assert float(focal(two, y, gamma)) == pytest.approx(float(truth), abs=1e-6)
    several = MultiLabel(focal_gamma=gamma).criterion(z, y[:, None])
    assert float(several) == pytest.approx(float(truth), abs=1e-6)

    outputs, y = 3 * torch.randn(40, 5, requires_grad=True), torch.randint(5, (40,))
    weights = torch.rand(5)
    total = 0.0
    for row, k in zip(outputs.softmax(1).tolist(), y.tolist(), strict=True):
        total -= float(weights[k]) * (1 - row[k]) ** gamma * np.log(row[k])
    found = focal(outputs, y, gamma, weights=weights)
    assert float(found.detach()) == pytest.approx(total / float(weights[y].sum()), rel=1e-5)
    if not gamma:
        for smoothing in (0.0, 0.1):
            for targets in (y, torch.rand(40, 5).softmax(1)):
                truth = F.cross_entropy(outputs, targets, label_smoothing=smoothing)
                assert torch.allclose(focal(outputs, targets, 0.0, smoothing), truth)
    certain = torch.tensor([[100.0, -100.0]], requires_grad=True)
    focal(certain, torch.tensor([0]), gamma).backward()
    assert certain.grad is not None
    assert certain.grad.isfinite().all()


def test_focal_loss_of_guessing() -> None:
    objective = Classification(focal_gamma=2)
    found = objective.criterion(torch.zeros(7, 10), torch.arange(7))
    assert objective.chance(10) == ("(1 - 1/10)^2 ln(10)", pytest.approx(float(found)))


def test_macro_scores() -> None:
    """The fourth class does not occur, but is predicted; the fifth is neither."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(200, 5, generator=generator) - torch.tensor([0, 0, 0, 0, 9.0])
    y = torch.randint(3, (200,), generator=generator)
    metrics = MacroScore(5, "recall"), MacroScore(5, "f1")
    for part, targets in zip(outputs.split(64), y.split(64), strict=True):
        for metric in metrics:
            metric.update(part, targets)
    predicted = outputs.argmax(1)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        recall = balanced_accuracy_score(y, predicted)
    assert float(metrics[0].compute()) == pytest.approx(recall, abs=1e-6)
    f1 = f1_score(y, predicted, average="macro")
    assert float(metrics[1].compute()) == pytest.approx(f1, abs=1e-6)
    assert not metrics[0].state_dict()  # old checkpoints load


def test_the_worst_classes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"c{k}", 0.5, 0.5, "nan" if k == 3 else k / 30, k] for k in range(30)]
    with Path("t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["class", "precision", "recall", "f1", "support"], *rows])
    print_worst_classes(Path("t.csv"), most=4)
    said = capsys.readouterr().out
    assert all(f" c{k} " in said for k in (0, 1, 2, 4))
    assert " c3 " not in said
    assert " c5 " not in said
