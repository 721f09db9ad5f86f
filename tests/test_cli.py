"""The commands, from a shell's point of view."""

import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_digits

import project
from project.cli.arguments import DEFAULT_CONFIG, read_arguments
from project.cli.main import CLI, main
from project.cli.naming import flatten
from project.commands import COMMANDS
from project.loggers.metrics_csv import MetricsCSV
from project.run.folder import Run, find_run
from project.run.processor import processor_name
from tests.conftest import QUIET

Fit = Callable[..., CLI]


def rows(run: Run) -> list[dict[str, str]]:
    with run.metrics.open() as file:
        return list(csv.DictReader(file))


def test_run_folder_holds_everything(finished: Run) -> None:
    names = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*.*")}
    figures = ["history", "confusion_matrix_val", "predictions_val", "mistakes_val", "filters"]
    assert names == {
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "checkpoints/previous.ckpt",
        "predictions_val.csv",
        "per_class_val.csv",
    } | {f"figures/{name}.png" for name in figures}
    for path in finished.figures.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.size[0] > 500
    environment = json.loads(finished.environment.read_text())
    assert environment["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert environment.keys() >= {"python", "git", "device", "host", "command", "seed"}
    config = yaml.safe_load(finished.config.read_text())
    assert config["model"]["init_args"]["hidden"] == [512, 256]
    assert config["optimizer"]["init_args"]["lr"] == 0.003


def test_metrics_csv_has_the_history(finished: Run) -> None:
    history = rows(finished)
    steps = [int(row["step"]) for row in history]
    assert steps == sorted(set(steps))
    assert steps[-1] == 39  # 1,294 samples in batches of 64, two epochs
    for name in ("train/loss", "train/acc", "val/loss", "val/acc", "lr"):
        assert any(row[name] for row in history), name
    assert 0 <= float(history[-1]["val/acc"]) <= 1


def test_metrics_csv_is_written_within_a_long_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, start = Run(tmp_path), time.monotonic()
    logger = MetricsCSV(run)
    for step, seconds in ((0, 0), (1, 5), (2, 11), (3, 12), (4, 30)):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: start + seconds)
        logger.log_metrics({"train/loss": 1.0}, step)
        written = len(rows(run)) if run.metrics.exists() else 0
        assert written == {0: 0, 1: 0, 2: 3, 3: 3, 4: 5}[step]


def test_fit_never_opens_the_test_set(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from project.data import Digits

    load = Digits.load

    def only_train(self: Digits, train: bool) -> object:
        assert train, "fit asked for the test set"
        return load(self, train)

    monkeypatch.setattr(Digits, "load", only_train)
    fit("--trainer.max_epochs=1")
    with pytest.raises(AssertionError, match="fit asked"):
        main(["test", "--run", "runs/digits", *QUIET])


def test_checkpoint_holds_plain_values(finished: Run) -> None:
    checkpoint = torch.load(finished.checkpoint("best"), weights_only=True)
    assert checkpoint["hyper_parameters"]["num_classes"] == 10
    assert not any("_orig_mod" in name for name in checkpoint["state_dict"])


def test_load_from_checkpoint_needs_no_config(finished: Run) -> None:
    from project.models import MLP

    model = MLP.load_from_checkpoint(finished.checkpoint("best"), weights_only=True)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.slow
def test_test_from_another_folder(
    run_copy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for expected in (1, 2):
        main(["test", "--run", str(run_copy.folder), *QUIET])
        ledger = [json.loads(line) for line in run_copy.tests.read_text().splitlines()]
        assert len(ledger) == expected
    assert ledger[0]["test/acc"] == ledger[1]["test/acc"] > 0.5
    assert rows(run_copy)[-1]["test/acc"]
    assert {p.stem for p in run_copy.figures.glob("*_test.png")} >= {
        "confusion_matrix_test",
        "predictions_test",
    }
    assert list(elsewhere.iterdir()) == []


def test_test_accuracy_equals_a_plain_loop(run_copy: Run) -> None:
    from project.data import Digits
    from project.models import MLP

    cli = main(["test", "--run", str(run_copy.folder), *QUIET])
    model = MLP.load_from_checkpoint(run_copy.checkpoint("best"), weights_only=True).eval()
    test = Digits().load(train=False)
    x = (test.x / 255 - Digits.mean[0]) / Digits.std[0]
    right = sum(int(model(x[i : i + 1]).argmax()) == int(test.y[i]) for i in range(len(x)))
    assert cli is not None
    assert cli.result["test/acc"] == pytest.approx(right / len(x), abs=1e-7)


def test_predictions_of_each_sample_equal_a_plain_loop(run_copy: Run) -> None:
    from project.data import Digits
    from project.models import MLP

    main(["test", "--run", str(run_copy.folder), *QUIET])
    model = MLP.load_from_checkpoint(run_copy.checkpoint("best"), weights_only=True).eval()
    data = Digits()
    data.setup("fit")
    data.setup("test")
    for split, dataset, indices in (
        ("val", data.train_set, data.val_indices),
        ("test", data.test_set, torch.arange(len(data.test_set))),
    ):
        with run_copy.sample_predictions(split).open() as file:
            table = list(csv.DictReader(file))
        assert [int(row["index"]) for row in table] == indices.tolist()
        x = (dataset.x[indices] / 255 - Digits.mean[0]) / Digits.std[0]
        confidence, predicted = model(x).softmax(1).max(1)
        assert [int(row["predicted"]) for row in table] == predicted.tolist()
        assert [int(row["true"]) for row in table] == dataset.y[indices].tolist()
        assert [float(row["confidence"]) for row in table] == pytest.approx(
            confidence.tolist(), abs=1e-5
        )
        assert [row["true_name"] for row in table] == [
            row["true"] for row in table
        ]  # the digits' names


@pytest.mark.slow
def test_validate_takes_the_checkpoint_asked_for(run_copy: Run) -> None:
    best = main(["validate", "--run", str(run_copy.folder), *QUIET])
    last = main(["validate", "--run", str(run_copy.folder), "--checkpoint", "last", *QUIET])
    assert best is not None
    assert last is not None
    assert last.result["val/acc"] == pytest.approx(float(rows(run_copy)[-1]["val/acc"]))
    assert best.result["val/loss"] <= last.result["val/loss"]


def test_predict_files_and_folders(run_copy: Run, tmp_path: Path) -> None:
    folder = tmp_path / "bilder für später"
    folder.mkdir()
    digits = load_digits()
    for i in range(9):
        Image.fromarray((digits.images[i] * 255 / 16).astype("uint8")).resize((50, 40)).save(
            folder / f"{i}.png"
        )
    main(
        [
            "predict",
            "--run",
            str(run_copy.folder),
            "--images",
            str(folder / "3.png"),
            str(folder),
            *QUIET,
        ]
    )
    with run_copy.predictions.open() as file:
        table = list(csv.DictReader(file))
    assert [Path(row["image"]).name for row in table] == ["3.png", *(f"{i}.png" for i in range(9))]
    assert all(1 >= float(row["probability1"]) >= float(row["probability2"]) for row in table)
    assert table[0] == table[4]
    assert (run_copy.figures / "predictions.png").exists()


def test_experiment_folder_stands_for_its_newest_run(run_copy: Run) -> None:
    older = run_copy.folder.with_name("20000101-000000")
    older.mkdir()
    (older / "config.yaml").write_text("{}")

    os.utime(older / "config.yaml", (0, 0))
    assert find_run(run_copy.folder.parent) == run_copy


def test_fit_run_goes_on(run_copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before, earlier = rows(run_copy), json.loads(run_copy.environment.read_text())["seconds"]
    cli = main(["fit", "--run", str(run_copy.folder), "--trainer.max_epochs=3", *QUIET])
    assert cli is not None
    after = rows(run_copy)
    assert cli.trainer.global_step == 60
    assert after[: len(before)] == [
        row | dict.fromkeys(after[0].keys() - row.keys(), "") for row in before
    ]
    assert [int(row["step"]) for row in after] == [19, 39, 49, 59] or len(after) > len(before)
    assert len({row["step"] for row in after}) == len(after)
    assert yaml.safe_load(run_copy.config.read_text())["trainer"]["max_epochs"] == 3
    assert len(json.loads(run_copy.environment.read_text())["before"]) == 1
    said = capsys.readouterr().out
    found = re.search(r"60 steps, ([\d.]+) s, of which ([\d.]+) s in this session", said)
    assert found is not None
    assert float(found[1]) - float(found[2]) == pytest.approx(earlier, abs=0.11)
    assert "(best.ckpt: least val/loss, step " in said  # as the file of the digits says


def test_fit_run_of_a_complete_run_does_nothing(
    run_copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run_copy.metrics.read_text()
    main(["fit", "--run", str(run_copy.folder), *QUIET])
    assert "complete, so nothing was done" in " ".join(capsys.readouterr().out.split())
    assert run_copy.metrics.read_text() == before


def test_flags_win_over_the_run_and_its_checkpoint(run_copy: Run) -> None:
    flags = [
        "--optimizer.lr=0.5",
        "--optimizer.weight_decay=0.7",
        "--lr_schedule=Constant",
        "--trainer.max_epochs=3",
    ]
    cli = main(["fit", "--run", str(run_copy.folder), *flags, *QUIET])
    assert cli is not None
    weights, others = cli.trainer.optimizers[0].param_groups
    assert (weights["lr"], weights["weight_decay"], others["weight_decay"]) == (0.5, 0.7, 0.0)
    assert float(rows(run_copy)[-1]["lr"]) == 0.5


def test_another_optimizer_on_a_run_starts_afresh(
    run_copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        "--optimizer=SGD",
        "--optimizer.lr=0.01",
        "--optimizer.momentum=0.9",
        "--trainer.max_epochs=3",
    ]
    cli = main(["fit", "--run", str(run_copy.folder), *flags, *QUIET])
    assert cli is not None
    assert type(cli.trainer.optimizers[0]) is torch.optim.SGD
    assert "SGD starts afresh" in capsys.readouterr().err


@pytest.mark.slow
def test_another_class_forgets_the_arguments_of_the_first(fit: Fit, tmp_path: Path) -> None:
    """jsonargparse would keep the learning rate of the config's optimiser, and the default's weight decay."""
    optimizer = fit(
        "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--optimizer=SGD"
    ).trainer.optimizers[0]
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.001, 0)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("optimizer:\n  class_path: Adam\n")
    cli = fit(
        "--config",
        str(DEFAULT_CONFIG),
        "--config",
        str(overlay),
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1",
    )
    assert cli.trainer.optimizers[0].defaults["lr"] == 0.001
    same = fit(
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1",
        "--optimizer=AdamW",
        "--optimizer.eps=1e-6",
    ).trainer.optimizers[0]
    assert (same.defaults["lr"], same.defaults["eps"]) == (0.003, 1e-6)


@pytest.mark.needs("LeNet", "mnist")
def test_another_model_or_dataset_keeps_what_all_of_them_take() -> None:
    """A run on other data with the augmentation and mixing turned off would look like a bad model."""
    mixup = DEFAULT_CONFIG.parent / "with" / "mixup.yaml"
    flags = ["--model.compile=true", "--data=MNIST", "--model=LeNet"]
    arguments = read_arguments(["fit", f"--config={DEFAULT_CONFIG}", f"--config={mixup}", *flags])
    config = CLI(arguments).full_config()
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (model["compile"], model["dropout"], "hidden" in model) == (True, 0.0, False)
    assert data["batch_size"] == 64
    assert data["augment"][0]["init_args"] == {"degrees": 10.0}
    assert data["mix"]["init_args"] == {"alpha": 0.2}
    assert arguments.overrides == "+mixup.2-compile-mnist-lenet"


def test_flags_win_over_configs_wherever_they_stand() -> None:
    words = ["fit", "--optimizer.lr=0.5", "--optimizer", "SGD", "--config", str(DEFAULT_CONFIG)]
    assert read_arguments(words) == read_arguments([*words[:1], *words[-2:], *words[1:-2]])
    long = ["--config", str(DEFAULT_CONFIG), "--optimizer.class_path", "SGD", "--optimizer.lr=0.1"]
    optimizer = CLI(read_arguments(["fit", *long])).full_config()["optimizer"]
    assert (optimizer["class_path"], optimizer["init_args"]["weight_decay"]) == (
        "torch.optim.SGD",
        0,
    )


NULLABLE = (
    "model.weights",
    "data.augment",
    "data.mix",
    "trainer.gradient_clip_val",
    "trainer.profiler",
)
NULLABLE += (
    "trainer.precision",
    "trainer.logger",
    "trainer.plugins",
    "trainer.callbacks",
)


@pytest.mark.parametrize("word", ["None", "null"])
def test_none_is_null(word: str) -> None:
    flags = [f"--{key}={word}" for key in NULLABLE] + [
        "--trainer.max_steps",
        "3",
        "--experiment",
        word,
    ]
    config = CLI(read_arguments(["fit", "--config", str(DEFAULT_CONFIG), *flags])).full_config()
    flat = flatten(config)
    assert {key: flat[key] for key in (*NULLABLE, "experiment")} == dict.fromkeys(
        (*NULLABLE, "experiment")
    )


@pytest.mark.slow
def test_seed_and_split(fit: Fit) -> None:
    first, again, other = (
        fit("--trainer.max_epochs=1", f"--seed_everything={seed}", f"--experiment={name}")
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    )
    weights = [dict(cli.model.state_dict()) for cli in (first, again, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])
    assert torch.equal(first.datamodule.val_indices, other.datamodule.val_indices)


@pytest.mark.slow
def test_utf8_in_every_locale(tmp_path: Path) -> None:
    """Configs, runs and output are UTF-8 with a locale of ASCII, in Python's UTF-8 mode or not."""
    root = Path(project.__file__).parent.parent
    env = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONPATH": str(root),
        "OMP_NUM_THREADS": "1",
    }
    env.pop("PYTHONIOENCODING", None)

    def run(*args: str) -> str:
        command = [sys.executable, "-m", "project", *args]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8")

    config = tmp_path / "réseau.yaml"
    config.write_bytes(DEFAULT_CONFIG.read_bytes() + b"wandb: {tags: [\xc3\xa9t\xc3\xa9]}\n")
    assert "±" in config.read_text(encoding="utf-8")
    run("fit", "--config", str(config), "--trainer.max_epochs", "1", *QUIET)
    (folder,) = (tmp_path / "runs" / "réseau").iterdir()
    assert yaml.safe_load((folder / "config.yaml").read_bytes())["wandb"]["tags"] == ["été"]
    assert "│" in run("test", "--run", str(folder), *QUIET)
    shutil.copytree(folder, folder.with_name(folder.name + "-seed1"))
    assert "±" in run("compare", str(folder.parent))


def test_help_is_instant_and_names_every_command() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "project", "--help"]
    root = Path(project.__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "torch" not in done.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_command_help_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--help"])
    assert stop.value.code == 0
    assert "--optimizer" in capsys.readouterr().out


@pytest.mark.slow
def test_moved_run_keeps_its_best(run_copy: Run) -> None:
    """A worse epoch after the folder was moved must not replace the best checkpoint."""
    before = run_copy.checkpoint("best").read_bytes()
    main(
        [
            "fit",
            "--run",
            str(run_copy.folder),
            "--trainer.max_epochs=3",
            "--optimizer.lr=10",
            "--lr_schedule=Constant",
            *QUIET,
        ]
    )
    assert run_copy.checkpoint("best").read_bytes() == before
    assert [path.name for path in sorted(run_copy.checkpoints.iterdir())] == [
        "best.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]


@pytest.mark.needs("compare")
@pytest.mark.slow
def test_names_are_no_markup(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("--trainer.max_epochs=1", "--experiment=a[/b] [red]")
    assert "a[/b] [red]/" in capsys.readouterr().out
    main(["compare", "runs/a[/b] [red]"])
    assert "a[/b] [red]" in capsys.readouterr().out


def test_fast_dev_run(fit: Fit) -> None:
    fit("--trainer.fast_dev_run=true")


@pytest.mark.slow
def test_compiled_keys_stay_clean(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: lambda *args: function(*args))
    cli = fit("--model.compile=true", "--trainer.max_epochs=1", "--adapt_to_machine=false")
    assert not any("_orig_mod" in name for name in cli.model.state_dict())
    assert "training_loss" in vars(cli.model)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "model name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512_bf16 amx_bf16\n",
            "Intel(R) Xeon(R) with AMX",
        ),
        (
            "model name\t: AMD EPYC\nflags\t\t: fpu avx2\n\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2\n",
            "AMD EPYC",
        ),
        (
            "processor\t: 0\nFeatures\t: fp bf16\n",
            f"{platform.processor() or platform.machine()} with BF16",
        ),
    ],
)
def test_environment_names_the_processor(
    text: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    monkeypatch.setattr("project.run.processor.CPUINFO", cpuinfo)
    assert processor_name() == name
