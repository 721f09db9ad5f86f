"""Trainings that are no classification go through every command, and resume bit for bit."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.conftest import QUIET, is_there
from tests.kill_and_resume import differences
from tests.tasks import Autoencoder
from tests.test_resume import Crash, Stop, crash

TASKS = Path(__file__).parent / "tasks.py"


def test_each_takes_at_most_forty_lines() -> None:
    classes = [node for node in ast.parse(TASKS.read_text()).body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 4
    for node in classes:
        assert node.end_lineno is not None
        assert node.end_lineno - node.lineno < 40, node.name


@pytest.mark.parametrize(
    ("name", "step"),
    # The steps of Lightning count those of both optimisers, and all k of a batch.
    [
        ("Autoencoder", 33),
        ("GAN", 66),
        pytest.param("SimCLR", 7, marks=[pytest.mark.slow, pytest.mark.needs("ResNet")]),
        pytest.param("Distillation", 66, marks=pytest.mark.slow),
    ],
)
def test_fit_kill_resume_test(
    name: str, step: int, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*QUIET, f"--model=tests.tasks.{name}", "--data=Digits", "--data.batch_size=64"]
    args += ["--trainer.max_epochs=3", "--trainer.log_every_n_steps=5"]
    args += ["--last_checkpoint.every_n_steps=7", "--trainer.callbacks+=tests.test_resume.Stop"]
    if name == "Distillation":
        args.append(f"--model.teacher={finished.folder}")
    if name == "SimCLR":
        args += ["--data.batch_size=16", "--trainer.limit_train_batches=5"]
        args += ["--trainer.limit_val_batches=2", "--trainer.limit_test_batches=2"]
    main(["fit", *args, "--experiment=whole"])
    monkeypatch.setattr(Stop, "when", ("on_train_batch_start", step))
    monkeypatch.setattr(Stop, "what", crash)
    with pytest.raises(Crash):
        main(["fit", *args, "--experiment=killed"])
    main(["fit", "--run=runs/killed", *QUIET])
    whole, killed = find_run(Path("runs/whole")), find_run(Path("runs/killed"))
    a, b = whole.metrics.read_text(), killed.metrics.read_text()
    assert a == b
    assert differences(whole, killed) == []
    assert len(whole.metrics.read_text().splitlines()) > 3
    main(["test", "--run=runs/killed", *QUIET])
    assert "test/loss" in killed.tests.read_text()


def test_predict_and_export_need_an_objective(
    fails: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--model=tests.tasks.Autoencoder", "--data=Digits", "--trainer.max_epochs=1"]
    main(["fit", *args, *QUIET, "--trainer.limit_train_batches=2", "--experiment=plain"])
    assert "pictures" not in capsys.readouterr().out  # it has none
    Image.new("L", (8, 8)).save("a.png")
    for command in ("predict", "export") if is_there("export") else ("predict",):
        said = fails(command, "--run=runs/plain", "--images", "a.png")
        assert f"{command} needs an Architecture" in said
        assert "Autoencoder has no predict_step and objective" in said


class Bare(Autoencoder):
    """Returns the loss alone."""

    def training_loss(self, batch):
        return super().training_loss(batch)[0]


def test_what_training_loss_must_return_is_said(fails: Callable[..., str]) -> None:
    said = fails(
        "fit", f"--model={__name__}.Bare", "--data=Digits", "--trainer.max_epochs=1", *QUIET
    )
    assert "Bare.training_loss returned Tensor, but it must return the loss and a dict" in said


def test_unused_flag_is_refused(fails: Callable[..., str]) -> None:
    args = ["--model=tests.tasks.GAN", "--data=Digits"]
    said = fails("fit", *args, "--optimizer=SGD", "--optimizer.lr=0.1")
    assert "--optimizer would do nothing here, because GAN takes no optimizer" in said
    assert "--objective would do nothing" in fails("fit", *args, "--objective=Regression")


DATA = """
import torch
from project.data import Digits
from project.data.sampler import TensorImages

class Labels(Digits):
    "Whether a digit is even, is above four, and has a loop."
    num_classes = 3
    class_names = ("even", "large", "loop")

    def load(self, train):
        data = super().load(train)
        y = data.y
        loops = torch.isin(y, torch.tensor([0, 6, 8, 9]))
        return TensorImages(data.x, torch.stack([y % 2 == 0, y > 4, loops], 1).long())
"""


@pytest.mark.needs("check")
def test_multi_label_f1_equals_scikit_learn(
    fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sklearn.metrics import average_precision_score, f1_score

    Path("labels_data.py").write_text(DATA)
    monkeypatch.syspath_prepend(Path().absolute())
    args = ["--model=MLP", "--data=labels_data.Labels", "--objective=MultiLabel"]
    run = fit(*args, "--trainer.max_epochs=3", "--optimizer.lr=0.003").run
    cli = main(["test", "--run", str(run.folder), *QUIET])
    assert cli is not None
    assert capsys.readouterr().out.count("(best.ckpt: greatest val/map, step ") == 2
    rows = [line.split(",") for line in (run.sample_predictions("test")).read_text().splitlines()]
    assert rows[0] == ["index", *(f"{w}_{n}" for w in ("true", "predicted") for n in
                                  ("even", "large", "loop"))]  # fmt: skip
    true = [[int(v) for v in row[1:4]] for row in rows[1:]]
    probabilities = [[float(v) for v in row[4:]] for row in rows[1:]]
    predicted = [[p > 0.5 for p in ps] for ps in probabilities]
    expected = f1_score(true, predicted, average="macro")
    assert 0.5 < expected < 1
    assert cli.result["test/f1_macro"] == pytest.approx(expected, abs=1e-6)
    precision = average_precision_score(true, probabilities, average="macro")
    assert cli.result["test/map"] == pytest.approx(precision, abs=1e-4)
    for name in ("history", "labels_val", "labels_test"):
        assert (run.figures / f"{name}.png").exists()
    assert not list(run.figures.glob("confusion*"))
    folder = Path("images")
    folder.mkdir()
    x = cli.datamodule.test_set.x
    for i in range(3):
        Image.fromarray(x[i, 0].numpy()).save(folder / f"{i}.png")
    main(["predict", "--run", str(run.folder), "--images", str(folder), *QUIET])
    header, first, *_ = run.predictions.read_text().splitlines()
    assert header == "image,labels,even,large,loop"
    labels, *values = first.split(",")[1:]
    above = [n for n, p in zip(("even", "large", "loop"), values, strict=True) if float(p) > 0.5]
    assert labels.split() == above
    main(["check", *args, *QUIET])
    assert "chance is ln(2) = 0.693" in capsys.readouterr().out
