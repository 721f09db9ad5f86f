"""`predict` and `export` on a user's own files, and names of any kind in tables and pictures."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from project.cli.main import CLI, main
from project.data import Digits
from project.models import MLP
from project.run.folder import Run, shown
from tests.conftest import QUIET

Fails = Callable[..., str]
# Names in their order, and the digit in each file; two are formulas to matplotlib, one is not
# UTF-8.
READABLE = {
    "$a$.png": 0,
    "a\x1b[31m\n.png": 1,
    "caf\udce9.png": 2,
    "price$5_$6.png": 3,
    "sub/b.PNG": 4,
    "x" * 250 + ".png": 5,
}
UNREADABLE = {
    "bad1.png": b"",
    "bad2.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    "bad3.png": b"no image",
}
HIDDEN = ("._a.png", ".hidden/b.png")  # macOS puts the first beside a.png


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with the files that an archive made on another system may leave."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name, i in READABLE.items():
        save_digit(i, folder / name)
    for name, content in {**UNREADABLE, **dict.fromkeys(HIDDEN, b"\0\5\x16\7")}.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").touch()
    return folder


def save_digit(i: int, path: Path) -> None:
    with path.open("wb") as file:
        Image.fromarray((load_digits().images[i] * 255 / 16).round().astype("uint8")).save(
            file, "PNG"
        )


def table(run: Run) -> list[dict[str, str]]:
    with run.predictions.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_unreadable_files_are_skipped_named_and_counted(
    num_workers: int, run_copy: Run, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = [
        f"--data.num_workers={num_workers}",
        "--data.batch_size=2",
    ]  # so that one batch has no image
    main(["predict", "--run", str(run_copy.folder), "--images", str(photos), *args, *QUIET])
    found, said = table(run_copy), capfd.readouterr()
    names = [row["image"].removeprefix(f"{photos}/") for row in found]
    assert names == [name.replace("\udce9", r"\udce9") for name in READABLE]
    model = MLP.load_from_checkpoint(run_copy.checkpoint("best"), weights_only=True).eval()
    x = torch.from_numpy(load_digits().images[:6] * (255 / 16)).round()[:, None].float()
    confidence, predicted = model((x / 255 - Digits.mean[0]) / Digits.std[0]).softmax(1).max(1)
    assert [int(row["class1"]) for row in found] == predicted.tolist()
    assert [float(row["probability1"]) for row in found] == pytest.approx(
        confidence.tolist(), abs=1e-5
    )
    skipped = sorted(line for line in said.err.splitlines() if line.startswith("skipped"))
    assert len(skipped) == 3
    assert all(name in line for name, line in zip(UNREADABLE, skipped, strict=True))
    assert "ignored 1 file(s)" in said.err
    assert "6 image(s) with best.ckpt" in said.out
    first = [cell.strip() for cell in said.out.split("\n│ ")[1].split("│")]
    assert first[:3] == ["photos/$a$.png", found[0]["class1"], found[0]["probability1"]]
    assert f"{shown(run_copy.predictions)} " in said.out
    assert f"{shown(run_copy.figures / 'predictions.png')} " in said.out
    assert "3 of 9 image(s), which cannot be read" in said.out
    assert (run_copy.figures / "predictions.png").exists()


def test_nothing_that_can_be_read(run_copy: Run, photos: Path, fails: Fails) -> None:
    predict = ["predict", "--run", str(run_copy.folder), *QUIET, "--images"]
    assert "cannot decode the image" in fails(*predict, str(photos / "bad1.png"))
    bad = [str(photos / name) for name in UNREADABLE]
    said = fails(*predict, *bad, "--data.num_workers=1")
    assert "none of 3 images can be read; the last: cannot decode the image" in said
    assert "bad3.png" in said
    assert "nowhere.png does not exist" in fails(*predict, str(photos / "$a$.png"), "nowhere.png")
    assert "does not exist" in fails(*predict, "y" * 300)
    shutil.rmtree(photos / "sub")
    for path in photos.glob("[!.]*.png"):
        path.unlink()
    assert "holds no image" in fails(*predict, str(photos))
    assert not run_copy.predictions.exists()


@pytest.mark.needs("export")
def test_export_skips_them_too(
    run_copy: Run, photos: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ["export", "--run", str(run_copy.folder), "--format", "torch_export", "--images"]
    assert "cannot decode the image" in fails(*export, str(photos / "bad1.png"))
    main([*export, str(photos)])
    said = capsys.readouterr()
    assert "6 images in batches" in said.out
    assert "3 of 9 image(s), which cannot be read" in said.out
    assert said.err.count("skipped: ") == 3


@pytest.mark.needs("AlexNet", "ImageNet", "compare", "report")
@pytest.mark.slow
def test_names_that_matplotlib_takes_for_formulas(
    fit: Callable[..., CLI], folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(folders, tmp_path / "copy"))
    for split in ("train", "val"):
        (root / split / "n01").rename(root / split / "$a_$")
        (root / split / "n02").rename(root / split / ("long " * 40))
    args = [
        "--model=AlexNet",
        "--model.stem=small",
        "--data=ImageNet",
        f"--data.root={root}",
        "--data.image_size=32",
    ]
    run = fit(*args, "--data.batch_size=8", "--trainer.max_epochs=1", "--experiment=a$x_$").run
    assert (run.figures / "history.png").exists()
    assert (run.figures / "confusion_matrix_val.png").exists()
    photos = root / "val" / "n03"
    (photos / "0.jpg").touch()
    main(
        [
            "predict",
            "--run",
            str(run.folder),
            "--images",
            str(photos),
            "--data.num_workers=2",
            *QUIET,
        ]
    )
    assert [Path(row["image"]).name for row in table(run)] == [f"{i}.JPEG" for i in range(10, 14)]
    assert "1 of 5 image(s), which cannot be read" in capsys.readouterr().out
    main(["compare", str(run.folder), "--picture", "compare.png"])
    main(["report", str(run.folder), "--output", "report.html"])
