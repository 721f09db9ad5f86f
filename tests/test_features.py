"""Datasets of features: tables of scikit-learn, points, and CSV files; neurons against scikit-learn's solvers."""

import csv
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from project import data, load
from project.cli.main import CLI, main
from project.run.folder import find_run
from tests.conftest import QUIET

Fails = Callable[..., str]
Fit = Callable[..., CLI]
COLUMNS = ["id", "area", "city", "rooms", "price"]
NEURON = ["--model=MLP", "--model.hidden=[]"]
# Gradient descent on the whole training part, until nothing moves.
DESCENT = [
    *("--optimizer=SGD", "--optimizer.lr=0.1", "--optimizer.momentum=0.9"),
    *("--trainer.check_val_every_n_epoch=1000", "--trainer.enable_checkpointing=false"),
]


def houses(count: int = 120) -> list[list[object]]:
    draw = random.Random(0)
    cities = {"Rome": 50_000, "Oslo": 100_000, "Lima": 0}
    rows: list[list[object]] = []
    for i in range(count):
        area, city, rooms = draw.uniform(30, 200), draw.choice([*cities]), draw.randint(1, 6)
        price = 1000 * area + cities[city] + 5000 * rooms + draw.gauss(0, 5000)
        rows.append([i, round(area, 1), city, rooms, round(price)])
    return rows


def write(rows: list[list[object]], names: list[str] = COLUMNS, path: str = "houses.csv") -> str:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return f"--data.path={path}"


def csv_rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def as_features(rows: list[list[object]]) -> torch.Tensor:
    """Area, one of Lima, Oslo and Rome, and rooms."""
    cities = [[float(city == name) for name in ("Lima", "Oslo", "Rome")] for _, _, city, *_ in rows]
    return torch.tensor([[row[1], *c, row[3]] for row, c in zip(rows, cities, strict=True)])


HOUSES = [
    *("--model=MLP", "--data=CSV", "--data.target=price", "--data.ignore=[id]"),
    *("--objective=Regression", "--data.batch_size=32"),
]


# ---------------------------------------------------------------- neurons


def trained(fit: Fit, *args: str) -> tuple[np.ndarray, np.ndarray, CLI]:
    """Weights (K, D) and biases (K,) of a neuron, or K of them."""
    cli = fit(*NEURON, *DESCENT, *args)
    head = cli.model.head
    return head.weight.detach().double().numpy(), head.bias.detach().double().numpy(), cli


def training_part(datamodule: data.ImageDataModule) -> tuple[np.ndarray, np.ndarray]:
    """Standardised samples (N, D) and targets (N,) by scikit-learn."""
    rows = datamodule.train_indices
    x, y = datamodule.train_set.x[rows].double().numpy(), datamodule.train_set.y[rows].numpy()
    return StandardScaler().fit_transform(x), y


POINTS = ["--data=Points", "--data.samples=200", "--data.batch_size=180"]


@pytest.mark.needs("scikit_learn")
@pytest.mark.parametrize(
    ("flags", "solver"),
    [
        ([], lambda n: linear_model.LinearRegression()),
        # The mean of squares has no factor of 1/2, and decay has one.
        (["--optimizer.weight_decay=0.2"], lambda n: linear_model.Ridge(alpha=0.1 * n)),
        (
            ["--model.l1=2", "--optimizer.lr=0.05", "--lr_schedule=Linear"],
            lambda n: linear_model.Lasso(alpha=1.0, tol=1e-10),
        ),
    ],
    ids=["linear", "L2", "L1"],
)
def test_a_neuron_is_linear_regression(flags: list[str], solver: Callable, fit: Fit) -> None:
    regression = ["--data=Diabetes", "--objective=Regression", "--objective.standardize=false"]
    steps = ["--trainer.max_epochs=1000", "--data.batch_size=319", "--optimizer.lr=0.1"]
    weight, bias, cli = trained(fit, *regression, *steps, *flags)
    x, y = training_part(cli.datamodule)
    truth = solver(len(x)).fit(x, y)
    scale = np.abs(truth.coef_).max()
    assert np.abs(weight[0] - truth.coef_).max() < 1e-3 * scale
    assert bias[0] == pytest.approx(truth.intercept_, rel=1e-4)


@pytest.mark.needs("points")
def test_neurons_are_logistic_regression(fit: Fit) -> None:
    blobs = ["--data.kind=blobs", "--data.classes=2", "--data.noise=3"]
    steps = ["--trainer.max_epochs=200", "--optimizer.lr=1"]
    weight, bias, cli = trained(fit, *POINTS, *blobs, *steps)
    x, y = training_part(cli.datamodule)
    truth = linear_model.LogisticRegression(C=np.inf, tol=1e-8).fit(x, y)
    assert np.abs(weight[1] - weight[0] - truth.coef_[0]).max() < 1e-3
    assert bias[1] - bias[0] == pytest.approx(truth.intercept_[0], abs=1e-3)


@pytest.mark.slow
@pytest.mark.needs("scikit_learn")
@pytest.mark.parametrize("name", ["BreastCancer", "Diabetes"])
def test_five_folds_are_as_good_as_scikit_learns(name: str, fit: Fit) -> None:
    ours, theirs = [], []
    for fold in range(5):
        flags = [
            f"--data={name}",
            "--data.num_folds=5",
            f"--data.fold={fold}",
            "--data.batch_size=32",
        ]
        flags += ["--trainer.max_epochs=30", "--lr_schedule=Linear", "--objective.plots=false"]
        if name == "Diabetes":
            flags += ["--objective=Regression", "--objective.standardize=true"]
        flags += ["--optimizer=SGD", "--optimizer.lr=0.05", "--optimizer.weight_decay=0.005"]
        cli = fit(*NEURON, *flags)
        ours.append(cli.result["val/r2" if name == "Diabetes" else "val/acc"])
        x, y = training_part(cli.datamodule)
        train, rows = cli.datamodule.train_indices, cli.datamodule.val_indices
        scaler = StandardScaler().fit(cli.datamodule.train_set.x[train].numpy())
        val = scaler.transform(cli.datamodule.train_set.x[rows].numpy())
        truth = cli.datamodule.train_set.y[rows].numpy()
        if name == "Diabetes":
            predicted = linear_model.LinearRegression().fit(x, y).predict(val)
            theirs.append(r2_score(truth, predicted))
        else:
            theirs.append(linear_model.LogisticRegression().fit(x, y).score(val, truth))
    assert np.mean(ours) > np.mean(theirs) - 0.01, (ours, theirs)


# ---------------------------------------------------------------- datasets


@pytest.mark.needs("scikit_learn")
@pytest.mark.parametrize(
    ("kind", "loader"),
    [("Iris", load_iris), ("BreastCancer", load_breast_cancer), ("Diabetes", load_diabetes)],
)
def test_tables_are_scikit_learns(kind: str, loader: Callable) -> None:
    module, truth = getattr(data, kind)(), loader()
    train, test = module.load(train=True), module.load(train=False)
    assert len(train) + len(test) == len(truth.target)
    names = [str(n).removesuffix(" (cm)") for n in truth.feature_names]
    assert list(module.feature_names) == names
    assert module.input_shape == (len(names),)
    if kind == "Diabetes":
        raw = load_diabetes(scaled=False)
        assert sorted(raw.target) == sorted([*train.y.tolist(), *test.y.tolist()])
    else:
        assert list(module.class_names) == list(truth.target_names)
        counts = np.bincount(truth.target)
        assert (train.y.bincount() + test.y.bincount()).tolist() == counts.tolist()
        assert np.abs(test.y.bincount().numpy() - counts / 5).max() <= 1


@pytest.mark.needs("points")
@pytest.mark.parametrize("kind", ["moons", "circles", "blobs", "spirals", "line", "sine"])
def test_points(kind: str) -> None:
    module = data.Points(kind=kind, samples=200, noise=0.0, classes=4)
    train, test = module.load(train=True), module.load(train=False)
    again = data.Points(kind=kind, samples=200, noise=0.0, classes=4).load(train=True)
    other = data.Points(kind=kind, samples=200, noise=0.0, points_seed=1).load(train=True)
    assert torch.equal(train.x, again.x)
    assert train.x.shape == (200, *module.input_shape)
    if kind not in ("moons", "circles"):  # scikit-learn's lie at the same places without noise
        assert not torch.equal(train.x, other.x)
        assert not torch.equal(train.x, test.x)
    x, y = train.x.double(), train.y
    if kind == "line":
        assert torch.allclose(y.double(), 1.5 * x[:, 0] - 0.5, atol=1e-6)
    elif kind == "sine":
        assert torch.allclose(y.double(), (2 * x[:, 0]).sin(), atol=1e-6)
    elif kind == "circles":
        assert torch.allclose(x.norm(dim=1), 1 - 0.5 * y.double(), atol=1e-6)
    elif kind == "spirals":
        turned = torch.atan2(x[:, 1], x[:, 0]) - 3 * torch.pi * x.norm(dim=1)
        quarter = (turned / (torch.pi / 2)).round().long() % 4
        assert torch.equal(quarter, y)
    if y.dtype == torch.int64:
        assert y.bincount().tolist() == [200 // module.num_classes] * module.num_classes


# ---------------------------------------------------------------- CSV files


@pytest.mark.needs("table")
def test_nothing_of_the_hold_out_reaches_training(fit: Fit) -> None:
    rows = houses()
    module = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"])
    module.setup("fit")
    before = module.to_input(*module.train_set.__getitems__(module.train_indices))
    trained_on = {int(i) for i in module.rows()[0][module.train_indices]}
    for i in {*range(len(rows))} - trained_on:
        rows[i][1:4] = [1e6, "Atlantis", -50]
    changed = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"])
    changed.setup("fit")
    after = changed.to_input(*changed.train_set.__getitems__(changed.train_indices))
    assert changed.measured == module.measured
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert list(changed.feature_names) == ["area", "city=Lima", "city=Oslo", "city=Rome", "rooms"]


@pytest.mark.needs("table")
def test_features_are_those_of_scikit_learn() -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    rows = houses()
    module = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"])
    module.setup("fit")
    kept = module.rows()[0][module.train_indices].tolist()
    table = np.array([rows[i][1:4] for i in kept], dtype=object)
    transform = make_column_transformer(
        (StandardScaler(), [0]), (OneHotEncoder(sparse_output=False), [1]), (StandardScaler(), [2])
    )
    x, y = module.to_input(*module.train_set.__getitems__(module.train_indices))
    assert np.allclose(x.numpy(), transform.fit_transform(table).astype(float), atol=1e-6)
    assert y.tolist() == [rows[i][4] for i in kept]


@pytest.mark.needs("table")
def test_csv_trains_resumes_tests_predicts_and_exports(
    fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [*HOUSES, write(houses()), "--objective.standardize=true", "--optimizer.lr=0.02"]
    whole = fit(*args, "--trainer.max_epochs=40", "--experiment=whole")
    assert whole.result["val/r2"] > 0.9
    fit(*args, "--trainer.max_epochs=20", "--experiment=part")
    run = find_run(Path("runs/part"))
    again = fit("--run", str(run.folder), "--trainer.max_epochs=40").model.state_dict()
    assert all(torch.equal(again[name], t) for name, t in whole.model.state_dict().items())

    main(["test", "--run", "runs/whole", *QUIET])
    assert "test/r2 0.9" in capsys.readouterr().out
    main(["validate", "--run", "runs/whole", *QUIET])
    with find_run(Path("runs/whole")).sample_predictions("val").open() as file:
        written = [float(row["predicted_price"]) for row in csv.DictReader(file)]
    Path("houses.csv").unlink()  # the run knows the columns
    found = load("runs/whole")
    sample = torch.tensor([100.0, 0, 1, 0, 3])
    [prediction] = found.predict(sample[None])
    expected = 100_000 + 100_000 + 15_000
    assert prediction.values[0] == pytest.approx(expected, rel=0.15)
    assert all(50_000 < value < 400_000 for value in written)


@pytest.mark.needs("table", "scikit_learn")
def test_rows_of_another_table_are_predicted(fit: Fit, fails: Fails) -> None:
    args = [*HOUSES, write(houses()), "--objective.standardize=true", "--trainer.max_epochs=2"]
    run = str(fit(*args).run.folder)
    rows = houses()[5:17]
    as_trained = load(run).predict(as_features(rows))
    shuffled = [["extra", *reversed(row[:4])] for row in rows]
    write(shuffled, ["note", "rooms", "city", "area", "id"], "new.csv")
    main(["predict", "--run", run, "--table", "new.csv", *QUIET])
    with find_run(Path(run)).predictions.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [*written[0]] == ["note", "rooms", "city", "area", "id", "price"]
    assert [row["id"] for row in written] == [str(row[0]) for row in rows]
    assert [row["price"] for row in written] == [p.row["price"] for p in as_trained]
    for given in ([dict(zip(COLUMNS, row, strict=True)) for row in rows], csv_rows("new.csv")):
        assert [p.values for p in load(run).predict(given)] == [p.values for p in as_trained]

    write(rows, path="complete.csv")  # with the target
    main(["predict", "--run", run, "--table", "complete.csv", *QUIET])
    assert [*csv_rows(str(find_run(Path(run)).predictions))[0]][-2:] == ["price", "predicted_price"]
    predict = ["predict", *QUIET, "--run", run]
    for wrong in ([], ["--images=a.png"], ["--images=a.png", "--table=new.csv"]):
        assert "not on images: give --table" in fails(*predict, *wrong)
    assert "cannot read none.csv (No such file or directory): give --table" in fails(
        *predict, "--table=none.csv"
    )
    write([row[:1] for row in rows], ["id"], "short.csv")
    assert "short.csv lacks the column area" in fails(*predict, "--table=short.csv")
    digits = str(fit("--trainer.max_epochs=1").run.folder)
    assert "this one needs --images" in fails("predict", "--run", digits, "--table=new.csv")
    iris = str(
        fit(
            "--model=MLP", "--data=Iris", "--data.batch_size=16", "--trainer.max_epochs=1"
        ).run.folder
    )
    assert "predict arrays of features in Python" in fails(
        "predict", "--run", iris, "--table=new.csv"
    )


@pytest.mark.needs("table", "export", "check", "report", "compare", "describe")
def test_commands_work_on_features(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    args = [*HOUSES, write(houses()), "--objective.standardize=true", "--trainer.max_epochs=2"]
    fit(*args, "--experiment=a")
    fit(*args, "--experiment=b", "--data.num_folds=5", "--data.fold=1")
    capsys.readouterr()
    main(["check", *args])
    said = capsys.readouterr().out
    assert "5, standardised by the 86 training samples" in said
    assert "120 samples compared by hash" in said
    main(["describe", "--run", "runs/a"])
    main(["compare", "runs/a", "runs/b"])
    assert "measured" not in capsys.readouterr().out
    main(["report", "runs/a"])
    main(["export", "--run", "runs/a"])
    session = onnxruntime.InferenceSession(find_run(Path("runs/a")).folder / "export/model.onnx")
    x = torch.tensor([[100.0, 0, 1, 0, 3]])
    [output] = session.run(None, {"images": x.numpy()})
    assert output[0, 0] == pytest.approx(load("runs/a").predict(x)[0].values[0], rel=1e-4)


@pytest.mark.needs("table")
@pytest.mark.parametrize(
    ("change", "flags", "said"),
    [
        (lambda rows: rows, ["--data.target=cost"], "no column cost (--data.target): it has id,"),
        (lambda rows: rows, ["--data.ignore=[ID]"], "no column ID (--data.ignore)"),
        (lambda rows: [[*rows[0][:1], "large", *rows[0][2:]], *rows[1:]], [], "line 2 has 'large'"),
        (lambda rows: [[*rows[0][:1], "NA", *rows[0][2:]], *rows[1:]], [], "no value of area"),
        (lambda rows: [[*rows[0][:4], ""], *rows[1:]], [], "line 2 has no price"),
        (lambda rows: [], [], "names of columns and no row"),
        (lambda rows: rows[:1], [], "1 row(s)"),
        (lambda rows: [rows[0][:4], *rows[1:]], [], "line 2 has 4 cells, but there are 5"),
        (lambda rows: [[*r[:4], 7] for r in rows], ["--data.target_type=class"], "price is 7 in"),
        (
            lambda rows: rows,
            ["--data.target=city", "--data.target_type=number"],
            "no number: mend it, or give --data.target_type class",
        ),
        (lambda rows: rows, ["--data.ignore=[id,area,city,rooms]"], "has no column to predict"),
        (lambda rows: rows, ["--data.target=city"], "another --data.target"),
    ],
)
def test_bad_files(change: Callable, flags: list[str], said: str, fails: Fails) -> None:
    assert said in fails(
        "fit", *QUIET, *HOUSES, "--trainer.max_epochs=1", write(change(houses())), *flags
    )


@pytest.mark.needs("table")
def test_empty_and_missing_files(fails: Fails) -> None:
    Path("empty.csv").touch()
    assert "is empty" in fails("fit", *HOUSES, "--data.path=empty.csv")
    assert "cannot read" in fails("fit", *HOUSES, "--data.path=none.csv")
    Path("bytes.csv").write_bytes(b"\xff\xfe\x00")
    assert "cannot read" in fails("fit", *HOUSES, "--data.path=bytes.csv")
    twice = write(houses(), ["id", "area", "area", "rooms", "price"])
    assert "two columns called 'area'" in fails("fit", *HOUSES, twice)


@pytest.mark.needs("table")
def test_constant_columns_and_unseen_categories_are_said(
    fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = houses()
    kept = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"])
    tested = kept.rows()[1].tolist()
    for i, row in enumerate(rows):
        row[3] = 2
        row[2] = "Paris" if i == tested[0] else row[2]
    cli = fit(*HOUSES, write(rows), "--trainer.max_epochs=1")
    said = capsys.readouterr().err
    assert "the column rooms is 2 in every training sample" in said
    assert "1 row(s) of" in said
    assert "such as 'Paris'" in said
    x = cli.datamodule.load(train=False).x
    assert (x[:, 1:4].sum(1) == 0).sum() == 1


@pytest.mark.needs("table")
@pytest.mark.parametrize("impute", ["mean", "median"])
def test_missing_cells_are_filled_from_training(impute: str) -> None:
    rows = houses()
    kept = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"])
    kept.setup("fit")
    part = kept.rows()[0][kept.train_indices].tolist()
    held = sorted({*range(120)} - {*part})
    rows[part[0]][1], rows[held[0]][1], rows[held[1]][2] = "", "?", ""
    module = data.CSV(write(rows).partition("=")[2], "price", ignore=["id"], impute=impute)
    areas = [float(str(rows[i][1])) for i in part[1:]]
    expected = np.mean(areas) if impute == "mean" else np.median(areas)
    assert module.fill["area"] == pytest.approx(expected)
    cities = [str(rows[i][2]) for i in part]
    assert module.fill["city"] == max(sorted({*cities}), key=cities.count)


@pytest.mark.needs("table")
def test_numbers_may_name_categories(fit: Fit) -> None:
    rows = houses()
    flags = ["--data.categorical=[rooms]", "--trainer.max_epochs=1"]
    names = fit(*HOUSES, write(rows), *flags).datamodule.feature_names
    assert [n for n in names if n.startswith("rooms")] == [f"rooms={k}" for k in range(1, 7)]
