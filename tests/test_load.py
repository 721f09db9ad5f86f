"""`from project import load`: a run in Python, against the command line, its files and plain code."""

import csv
import logging
import os
import random
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits

from project import load
from project.cli.main import CLI, main
from project.data import Digits
from project.errors import UserError
from project.models import MLP
from project.optim import WarmupCosine
from project.run.folder import Run
from tests.conftest import QUIET
from tests.test_targets import REGRESSION, TARGETS

DIGITS = (load_digits().images * (255 / 16)).round().astype("uint8")
RAMP = np.arange(20 * 30 * 4, dtype=np.uint32).reshape(20, 30, 4) % 251


def save(folder: Path) -> list[Path]:
    """Images of several modes and sizes; the last two have 16 bits and a palette."""
    ramp = RAMP.astype("uint8")
    images = [Image.fromarray(DIGITS[i]) for i in range(5)]
    images += [Image.fromarray(ramp[..., :3]), Image.fromarray(ramp), Image.fromarray(ramp[..., 0])]
    images += [Image.fromarray(RAMP[..., 0].astype("uint16") * 256), images[5].quantize(16)]
    folder.mkdir()
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    return paths


def table(run: Run) -> list[dict[str, str]]:
    with run.predictions.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_and_images_in_memory_are_predicted_as_the_command_does(
    run_copy: Run, tmp_path: Path
) -> None:
    paths = save(tmp_path / "images")
    main(["predict", f"--run={run_copy.folder}", "--images", *map(str, paths), *QUIET])
    run = load(run_copy.folder)
    found = run.predict(paths)
    assert [{"image": p.image, **p.row} for p in found] == table(run_copy)
    for prediction in found:
        assert sum(prediction.values) == pytest.approx(1, abs=1e-5)
        assert prediction.names == tuple("0123456789")
        assert prediction.ranked[0] == (prediction.row["class1"], max(prediction.values))
        assert f"class1={prediction.row['class1']}, probability1=" in repr(prediction)
    opened = [Image.open(path) for path in paths]
    assert [p.values for p in run.predict(opened)] == [p.values for p in found]
    arrays = [np.asarray(image) for image in opened[:8]]
    assert [p.values for p in run.predict(arrays)] == [p.values for p in found[:8]]
    for one in (str(paths[0]), paths[0], opened[0], arrays[0], arrays[0][..., None]):
        [prediction] = run.predict(one)
        assert prediction.values == pytest.approx(found[0].values, abs=1e-6)
    assert run.predict([]) == []


@pytest.mark.needs("export")
@pytest.mark.slow
def test_the_exported_file_says_the_same(run_copy: Run) -> None:
    main(["export", f"--run={run_copy.folder}"])
    session = onnxruntime.InferenceSession(run_copy.folder / "export" / "model.onnx")
    [truth] = session.run(["probabilities"], {"images": DIGITS[:300, None]})
    found = np.array([p.values for p in load(run_copy.folder).predict(list(DIGITS[:300]))])
    assert np.abs(found - truth).max() < 1e-5
    assert (found.argmax(1) == load_digits().target[:300]).mean() > 0.8


@pytest.mark.needs("AlexNet", "ImageNet")
@pytest.mark.slow
def test_photographs_are_cropped_as_in_training(
    folders: Path, fit: Callable[..., CLI], tmp_path: Path
) -> None:
    data = ["--data=ImageNet", f"--data.root={folders}", "--data.image_size=32"]
    steps = ["--data.batch_size=8", "--trainer.max_epochs=1"]
    run = fit("--model=AlexNet", "--model.stem=small", *data, *steps).run
    paths = sorted(folders.glob("val/*/*.JPEG"))
    main(["predict", f"--run={run.folder}", "--images", *map(str, paths), *QUIET])
    run.config.write_text(run.config.read_text().replace(str(folders), "/nowhere"))
    loaded = load(run.folder)  # which needs no dataset
    found = loaded.predict(paths)
    assert [p.row for p in found] == [
        {k: v for k, v in row.items() if k != "image"} for row in table(run)
    ]
    photo = Image.open(paths[0])
    assert loaded.predict(photo)[0].values == pytest.approx(found[0].values, abs=1e-5)
    photo.convert("CMYK").save(tmp_path / "cmyk.tif")
    cmyk = Image.open(tmp_path / "cmyk.tif")
    file, memory = loaded.predict([tmp_path / "cmyk.tif", cmyk])
    assert memory.values == pytest.approx(file.values, abs=1e-6)


def test_several_labels(fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(Path().absolute())
    args = ["--model=MLP", "--data=targets.MultiHot", "--objective=MultiLabel"]
    run = fit(*args, "--trainer.max_epochs=2").run
    Image.fromarray(DIGITS[7]).save("7.png")
    main(["predict", f"--run={run.folder}", "--images", "7.png", *QUIET])
    [row], [found] = table(run), load(run.folder).predict("7.png")
    assert {"image": found.image, **found.row} == row
    labels = [name for name, value in zip(found.names, found.values, strict=True) if value > 0.5]
    assert found.row["labels"].split() == labels
    assert {"0", "1"} <= set(labels)  # which every sample has
    assert sum(found.values) > 1.5


def test_real_numbers(fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(Path().absolute())
    run = load(fit(*REGRESSION, "--trainer.max_epochs=2").run.folder)
    x = load_diabetes().data[:5]
    found = run.predict(list(x))
    outputs = run.model(torch.from_numpy(x).float() * 442**0.5)[:, 0]
    assert [p.values[0] for p in found] == pytest.approx(outputs.tolist(), abs=1e-6)
    assert [float(p.row["progression"]) for p in found] == pytest.approx(outputs.tolist(), rel=1e-4)
    with pytest.raises(UserError, match=r"at index 0 has the shape \[9\]: give samples of \[10\]"):
        run.predict([x[0, :9]])
    with pytest.raises(UserError, match=r"the sample a\.png is no array of numbers"):
        run.predict("a.png")


def test_parts_of_the_run(run_copy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load(run_copy.folder.parent)  # the newest run of the experiment
    assert run.folder == run_copy.folder
    assert (type(run.model), type(run.data)) == (MLP, Digits)
    assert "MLP on Digits, best.ckpt" in repr(run)
    best = torch.load(run_copy.checkpoint("best"), weights_only=True)["state_dict"]
    assert all(torch.equal(value, best[name]) for name, value in run.model.state_dict().items())
    assert not any(module.training for module in run.model.modules())
    assert run.config["model"]["init_args"]["hidden"] == [512, 256]
    with run_copy.metrics.open() as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    assert run.metrics == rows
    assert load(run.folder, "last").checkpoint == run_copy.checkpoint("last")
    assert load(run.folder, run_copy.checkpoint("last")).checkpoint == run_copy.checkpoint("last")

    pandas = types.ModuleType("pandas")
    pandas.DataFrame = lambda rows: ("frame", rows)  # type: ignore[attr-defined]
    pandas.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert load(run.folder).metrics == ("frame", rows)


def test_a_trainer_made_by_hand_tests_the_run(run_copy: Run) -> None:
    tested = main(["test", f"--run={run_copy.folder}", *QUIET])
    assert tested is not None
    run = load(run_copy.folder)
    trainer = L.Trainer(logger=False, enable_progress_bar=False)
    [result] = trainer.test(run.model, run.data, verbose=False)
    assert result == pytest.approx(tested.result)


def state() -> list[object]:
    """What a library must leave as it was."""
    return [
        torch.get_rng_state().tolist(),
        torch.initial_seed(),
        np.random.get_state()[1].tolist(),  # type: ignore[index, union-attr]
        random.getstate(),
        dict(os.environ),
        Path.cwd(),
        list(warnings.filters),
        sorted(os.listdir()),
        logging.root.manager.disable,
        [
            (name, log.level, log.propagate, list(log.handlers))
            for name, log in sorted(logging.root.manager.loggerDict.items())
            if isinstance(log, logging.Logger)
        ],
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_the_process_stays_as_it_was(
    fails: bool, run_copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    load(run_copy.folder)  # imports everything
    capsys.readouterr()
    if fails:
        run_copy.checkpoint("best").write_bytes(b"")
        run_copy.config.write_text(run_copy.config.read_text().replace("hidden:", "hiden:"))
    torch.manual_seed(1)
    before = state()
    if fails:
        with pytest.raises(UserError, match="did you mean hidden"):
            load(run_copy.folder)
    else:
        assert load(run_copy.folder).data.seed == 0  # the run's
    assert state() == before
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_loaded(run_copy: Run) -> None:
    with pytest.raises(UserError, match=r"^nowhere does not exist: give a folder"):
        load("nowhere")
    with pytest.raises(UserError, match=r"no checkpoint file .*none\.ckpt: load another"):
        load(run_copy.folder, "none.ckpt")
    content = run_copy.checkpoint("best").read_bytes()
    run_copy.checkpoint("best").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"^cannot read the checkpoint .*truncated.*[^\n]*$"):
        load(run_copy.folder)


def test_what_cannot_be_predicted(run_copy: Run) -> None:
    run = load(run_copy.folder)
    Path("empty.png").touch()
    good = DIGITS[0]
    for image, reason in (
        ("empty.png", r"the image empty\.png \(it is empty\): leave it out"),
        ("nowhere.png", r"the image nowhere\.png \(No such file or directory\)"),
        (Path(), r"the image \. \(Is a directory\)"),
        (good / 255, r"at index 1 \(it is float64 of shape \[8, 8\], and not uint8 of"),
        (good[None, None], r"at index 1 \(it is uint8 of shape \[1, 1, 8, 8\], and not"),
        (good[None], r"at index 1 \(it has 8 channels, and not 1, 3 or 4\)"),
        (3, r"at index 1 \(it is a int, and no path, PIL image or NumPy array\)"),
        (Image.fromarray(good / np.float32(9)), r"at index 1 \(cannot write mode F as PNG\)"),
    ):
        with pytest.raises(UserError, match=f"^cannot decode .*{reason}"):
            run.predict([good, image])


def test_a_run_of_any_module(fit: Callable[..., CLI]) -> None:
    args = ["--model=tests.test_any_module.Net", "--data=Digits", "--trainer.max_epochs=1"]
    cli = main(["fit", *args, *QUIET])
    assert cli is not None
    run = load(cli.run.folder)
    assert torch.equal(run.model.layer.weight, cli.model.layer.weight)
    with pytest.raises(UserError, match="not Net and Digits: use"):
        run.predict(DIGITS[0])


def test_importing_the_package_is_instant() -> None:
    code = "import sys, project; assert 'torch' not in sys.modules; print(project.load)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def test_training_by_hand_gives_the_commands_weights(fit: Callable[..., CLI]) -> None:
    """No part of ours is needed but the model and the data."""
    flags = ["--model=MLP", "--data=Digits", "--data.batch_size=64", "--optimizer=AdamW"]
    flags += ["--optimizer.lr=0.003", "--lr_schedule=WarmupCosine", "--trainer.max_epochs=2"]
    cli = main(["fit", *flags, "--seed_everything=3", *QUIET])
    assert cli is not None
    L.seed_everything(3)
    data = Digits(batch_size=64)
    optimizer = partial(torch.optim.AdamW, lr=0.003)
    options = {"optimizer": optimizer, "lr_schedule": WarmupCosine()}
    model = MLP(num_classes=10, input_shape=(1, 8, 8), **options)
    trainer = L.Trainer(max_epochs=2, log_every_n_steps=5, enable_progress_bar=False)
    trainer.fit(model, data)
    last = torch.load(cli.run.checkpoint("last"), weights_only=True)["state_dict"]
    assert all(torch.equal(value, last[name]) for name, value in model.state_dict().items())
    [validated] = trainer.validate(model, data, verbose=False)
    assert validated == pytest.approx(
        {key: load(cli.run.folder).metrics[-1][key] for key in validated}
    )
    [path] = Path().glob("lightning_logs/version_0/checkpoints/*.ckpt")
    again = MLP.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(again.head.weight, model.head.weight)
