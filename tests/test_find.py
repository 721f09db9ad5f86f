"""`fit --find`: Lightning's finders with our keys."""

import csv
import math
from collections.abc import Callable

import pytest
import torch
from PIL import Image

from project.cli.main import CLI

pytestmark = pytest.mark.needs("tune")


def state(cli: CLI) -> dict[str, torch.Tensor]:
    return dict(torch.load(cli.run.checkpoint("last"), weights_only=True)["state_dict"])


def found(cli: CLI) -> list[tuple[float, float]]:
    with (cli.run.folder / "find.csv").open() as file:
        return [(float(x), float(y)) for x, y in list(csv.reader(file))[1:]]


@pytest.mark.draws
@pytest.mark.slow
def test_finders_find_and_change_nothing_later(
    fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    short = "--trainer.max_epochs=1"
    before = state(fit(short))
    rates = fit("--find=lr", short)
    said = capsys.readouterr().out
    points = found(rates)
    assert len(points) > 60  # though an epoch has 20 steps
    # Tiny rates leave the loss where it was, which the configured one would not; high ones make it
    # fall, then rise.
    assert all(abs(loss - math.log(10)) < 0.4 for rate, loss in points if rate < 1e-6)
    least, at = min((loss, rate) for rate, loss in points)
    assert least < 1.5
    rate = float(said.partition("--optimizer.lr ")[2].split()[0])
    assert 1e-4 < rate < at
    sizes = fit("--find=batch_size", short)
    assert [size for size, _ in found(sizes)] == [2.0**k for k in range(1, 10)]  # of 1,258 samples
    assert all(speed > 0 for _, speed in found(sizes))
    assert "--data.batch_size" in capsys.readouterr().out
    for cli, what in ((rates, "lr"), (sizes, "batch_size")):
        assert f"-find_{what}" in cli.run.id
        with Image.open(cli.run.figures / f"find_{what}.png") as picture:
            assert picture.size[0] > 800
        assert not cli.run.config.exists()
        assert not cli.run.metrics.exists()
        assert not list(cli.run.folder.rglob("*.ckpt"))
    after = state(fit(short))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_finder_follows_groups_and_accumulation(fit: Callable[..., CLI]) -> None:
    args = [
        "--optimizer=SGD",
        "--optimizer.lr=0.5",
        "--lr_schedule=WarmupCosine",
        "--trainer.accumulate_grad_batches=2",
    ]
    points = found(fit("--find=lr", *args))
    assert all(abs(loss - math.log(10)) < 0.4 for rate, loss in points if rate < 1e-5)
    assert found(fit("--find=batch_size", *args))[0][0] == 4


@pytest.mark.needs("describe")
def test_what_cannot_be_found(fails: Callable[..., str]) -> None:
    assert "find: expected one of 'lr', 'batch_size', not momentum" in fails(
        "fit", "--find=momentum"
    )
    assert "only fit takes it" in fails("describe", "--model=MLP", "--find=lr")
