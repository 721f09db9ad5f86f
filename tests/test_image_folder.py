"""`ImageFolder`: which file is in which split, CSV files, and what is said of wrong ones."""

import csv
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from project.cli.main import CLI, main
from project.data import ImageFolder
from tests.conftest import QUIET, slow_but

pytestmark = pytest.mark.needs("image_folder")
Fails = Callable[..., str]
FIT = ["--model=MLP", "--model.hidden=[8]", "--data=ImageFolder", "--data.image_size=8"]
FIT += ["--data.batch_size=8", "--trainer.max_epochs=1"]


def draw(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> None:
    """An image that is unlike those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(256, size=(*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def draw_classes(folder: Path, counts: Sequence[int], seed: int = 0) -> Path:
    """So many images in the folders a, b, c ..."""
    for k, count in enumerate(counts):
        for i in range(count):
            draw(folder / "abcdefg"[k] / f"{seed}-{i}.png", 10_000 * (seed + 1) + 1000 * k + i)
    return folder


def splits(root: Path, **options: object) -> dict[str, str]:
    """The split of each file."""
    data = ImageFolder(root=str(root), image_size=8, **options)
    data.setup("fit")
    data.setup("test")
    parts = {
        "train": (data.train_set, data.train_indices),
        "val": (data.train_set, data.val_indices),
        "test": (data.test_set, torch.arange(len(data.test_set))),
    }
    found = {
        os.path.relpath(images.files.path(i), root): split
        for split, (images, indices) in parts.items()
        for i in indices.tolist()
    }
    assert len(found) == sum(len(indices) for _, indices in parts.values())  # they are disjoint
    return found


def write(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="module")
def flat_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("flat"), (150, 100, 50))


@pytest.fixture
def flat(flat_files: Path, tmp_path: Path) -> Path:
    """A copy of 300 images in the folders a, b and c, to change."""
    return Path(shutil.copytree(flat_files, tmp_path / "photos"))


def test_adding_files_moves_no_other(flat: Path) -> None:
    before = splits(flat)
    sizes = [list(before.values()).count(split) for split in ("train", "val", "test")]
    assert sum(sizes) == 300
    # A tenth of 300 and of the rest, within three deviations of a binomial distribution.
    assert abs(sizes[2] - 30) < 16
    assert abs(sizes[1] - 27) < 15
    draw_classes(flat, (40, 40, 20), seed=1)
    after = splits(flat)
    assert len(after) == 400
    assert {name: after[name] for name in before} == before
    assert {after[name] for name in after.keys() - before.keys()} == {"train", "val", "test"}
    for name in list(before)[::3]:
        (flat / name).unlink()
    fewer = splits(flat)
    assert fewer == {name: after[name] for name in fewer}


def test_copies_are_in_the_same_split(flat: Path) -> None:
    for path in sorted(flat.glob("*/*.png")):
        shutil.copy(path, flat / "c" / f"copy-{path.parent.name}-{path.name}")
    found = splits(flat)
    assert len(found) == 600
    for name, split in found.items():
        if "copy" not in name:
            folder, file = os.path.split(name)
            assert found[os.path.join("c", f"copy-{folder}-{file}")] == split


def test_sizes_seeds_and_folds(flat: Path) -> None:
    few, more, other = (
        {n for n, s in splits(flat, **o).items() if s == "val"}
        for o in ({}, {"val_size": 0.3}, {"split_seed": 1})
    )
    assert few < more
    assert few != other
    folds = [splits(flat, fold=k, num_folds=4) for k in range(4)]
    for name in folds[0]:
        at = sorted(found[name] for found in folds)
        assert at in (["test"] * 4, ["train"] * 3 + ["val"])


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_are_used_as_they_are_called(val: str, tmp_path: Path) -> None:
    for seed, (split, counts) in enumerate({"train": (40, 40), val: (3, 0)}.items()):
        draw_classes(tmp_path / split, counts, seed)
    shutil.copytree(tmp_path / "train" / "a", tmp_path / "train" / "b" / "deeper")
    found = splits(tmp_path)
    assert {n for n, s in found.items() if s == "val"} == {f"{val}/a/1-{i}.png" for i in range(3)}
    assert {n.split("/")[0] for n, s in found.items() if s == "test"} == {"train"}
    draw_classes(tmp_path / "test", (2, 2), seed=2)
    given = splits(tmp_path)
    assert {n for n, s in given.items() if s == "test"} == {
        f"test/{c}/2-{i}.png" for c in "ab" for i in (0, 1)
    }
    assert all(s == "train" for n, s in given.items() if n.startswith("train"))


def test_class_that_is_called_train(tmp_path: Path) -> None:
    draw_classes(tmp_path, (40, 40))
    (tmp_path / "a").rename(tmp_path / "train")
    assert ImageFolder(root=str(tmp_path)).class_names == ["b", "train"]
    assert len(splits(tmp_path)) == 80


def test_targets_of_a_csv_file(flat: Path) -> None:
    files = sorted(os.path.relpath(p, flat) for p in flat.glob("*/*.png"))
    label = {"a": "red|big", "b": "", "c": "big"}
    write(flat / "l.csv", [["file", "label"], *([f, label[f[0]]] for f in files)])
    data = ImageFolder(root=str(flat), labels="l.csv", target="labels")
    data.setup("fit")
    assert data.class_names == ["big", "red"]
    for i in range(0, len(data.train_set), 7):
        folder = data.train_set.files.path(i).parent.name
        assert data.train_set.y[i].tolist() == {"a": [1, 1], "b": [0, 0], "c": [1, 0]}[folder]
    rows = [[f, i / 8, ("train", "validation", "test")[i % 3]] for i, f in enumerate(files)]
    write(flat / "l.csv", [["file", "label", "split"], *rows])
    data = ImageFolder(root=str(flat), labels="l.csv", target="number")
    data.setup("fit")
    assert (data.num_classes, data.train_set.y.dtype) == (1, torch.float32)
    known = {f: (y, s) for f, y, s in rows}
    for images, indices, split in (
        (data.train_set, data.train_indices, "train"),
        (data.train_set, data.val_indices, "validation"),
    ):
        assert len(indices) == 100
        for i in indices.tolist():
            name = os.path.relpath(images.files.path(i), flat)
            assert (float(images.y[i]), split) == known[name]
    # The same classes as those of the folders, and the same files are held out.
    write(flat / "l.csv", [["file", "label"], *([f, f[0]] for f in files)])
    assert splits(flat, labels="l.csv") == splits(flat)


OBJECTIVES = {
    "class": ("Classification", lambda name: name[0], "test/acc"),
    "labels": ("MultiLabel", lambda name: "a|b" if name[0] == "a" else name[0], "test/map"),
    "number": ("Regression", lambda name: "abc".index(name[0]) + 0.5, "test/mae"),
}


@pytest.mark.parametrize("target", slow_but(["labels"], OBJECTIVES))
def test_csv_trains_tests_predicts_and_resumes(
    target: str, flat: Path, fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    objective, label, metric = OBJECTIVES[target]
    files = sorted(os.path.relpath(p, flat) for p in flat.glob("*/*.png"))
    write(flat / "l.csv", [["file", "label"], *([f, label(f)] for f in files)])
    args = [*FIT, f"--data.root={flat}", "--data.labels=l.csv", f"--data.target={target}"]
    cli = fit(*args, f"--objective={objective}")
    said = capsys.readouterr().err
    assert "data: 300 images, train 2" in said
    assert "(val and test by the hash of the content)" in said
    assert "data: 10x12 pixels, as 100 images show" in said
    run = f"--run={cli.run.folder}"
    tested = main(["test", *QUIET, run])
    assert tested is not None
    assert metric in tested.result
    given = sum(split == "test" for split in splits(flat).values())
    assert len(tested.datamodule.test_set) == given
    main(["predict", *QUIET, run, "--images", str(flat / "b" / "0-0.png")])
    assert len(cli.run.predictions.read_text().splitlines()) == 2
    steps = cli.trainer.global_step
    again = fit(run, "--trainer.max_epochs=2")
    assert again.trainer.global_step == 2 * steps


def test_summary_names_rare_and_missing_classes(
    tmp_path: Path, fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, (split, counts) in enumerate(
        {"train": (30, 10), "val": (4, 0), "test": (2, 2)}.items()
    ):
        draw_classes(tmp_path / split, counts, seed)
    fit(*FIT, f"--data.root={tmp_path}", "--data.fraction=0.5")
    assert "data: training on 20 of them" in (said := capsys.readouterr().err)
    assert "data: 48 images, train 40, val 4, test 4\n" in said
    assert "data: 2 classes, 10 (b) to 30 (a) training images of each, 3.0 times as many\n" in said
    assert "data: val has no image of b" in said


def test_a_part_of_the_training_set(flat: Path) -> None:
    whole, half, tenth = (
        ImageFolder(root=str(flat), image_size=8, fraction=f) for f in (1.0, 0.5, 0.1)
    )
    for data in (whole, half, tenth):
        data.setup("fit")
        assert torch.equal(data.val_indices, whole.val_indices)
    parts = [set(data.train_indices.tolist()) for data in (tenth, half, whole)]
    assert parts[0] < parts[1] < parts[2]
    assert len(parts[0]) == round(len(parts[2]) / 10)
    whole_counts, half_counts = (
        data.train_set.y[data.train_indices].bincount() for data in (whole, half)
    )
    assert float((whole_counts / 2 - half_counts).abs().max()) <= 1


@pytest.mark.needs("prepare")
def test_cache_has_the_same_splits(flat: Path, tmp_path: Path) -> None:
    (flat / "a" / "0-0.png").write_bytes(b"no image")
    before = splits(flat)
    list(ImageFolder(root=str(flat), cache=9).prepare_cache())
    assert splits(flat, num_workers=0) == before  # the cache is no class
    alone = tmp_path / "alone"
    shutil.copytree(flat / "prepared-9", alone / "prepared-9")  # to a disk of another machine
    data = ImageFolder(root=str(alone), cache=9, image_size=8)
    data.setup("fit")
    assert data.class_names == ["a", "b", "c"]
    found = {
        "/".join(data.files.path(i).parts[-2:]): str(split) for i, split in enumerate(data.splits)
    }
    del before["a/0-0.png"]
    assert found == before


def labelled(*rows: Sequence[object]) -> Callable[[Path], list[str]]:
    def make(root: Path) -> list[str]:
        write(root / "l.csv", rows)
        return ["--data.labels=l.csv"]

    return make


def changed(change: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def make(root: Path) -> list[str]:
        change(root)
        return []

    return make


HEAD = ("file", "label")
BAD: dict[str, tuple[Callable[[Path], list[str]], list[str], str]] = {
    "missing files": (
        labelled(HEAD, ("a/0-0.png", "x"), ("no.png", "y"), ("a/0-1", "y")),
        [],
        "2 of the 3 listed files are not in",
    ),
    "unknown column": (labelled(("file", "label", "fold"), ("a", "b", "c")), [], "nothing else"),
    "no such column": (labelled(("image", "label"), ("a", "b")), [], "it needs file and label"),
    "empty file": (labelled(), [], "it needs file and label"),
    "two labels": (labelled(HEAD, ("a/0-0.png", "x|y")), [], "line 2 has 2 labels, x|y, where"),
    "two labels otherwise": (
        labelled(HEAD, ("a/0-0.png", "x"), ("a/0-1.png", "y"), ("a/0-2.png", "x; y")),
        [],
        "line 4 has 'x; y', made of other labels: put | between them",
    ),
    "no label": (labelled(HEAD, ("a/0-0.png", "")), [], "line 2 has no label where a class"),
    "twice": (labelled(HEAD, ("a/0-0.png", "x"), ("./a/0-0.png", "y")), [], "for the second time"),
    "no number": (
        labelled(HEAD, ("a/0-0.png", "1.5"), ("b/0-0.png", "tall")),
        ["--data.target=number", "--objective=Regression"],
        "line 3 has the label 'tall', which is not a number",
    ),
    "not finite": (
        labelled(HEAD, ("a/0-0.png", "nan")),
        ["--data.target=number", "--objective=Regression"],
        "is not a number",
    ),
    "unknown split": (
        labelled((*HEAD, "split"), ("a/0-0.png", "x", "dev")), [], "has the split 'dev': use train"
    ),
    "too many values": (labelled(HEAD, ("a/0-0.png", "x", "y")), [], "line 2 has more or fewer"),
    "no csv": (lambda root: ["--data.labels=no.csv"], [], "No such file"),
    "no label file": (lambda root: [], ["--data.target=number"], "needs --data.labels"),
    "other objective": (
        labelled(HEAD, *((f"{c}/0-{i}.png", f"{c}|x") for c in "abc" for i in range(50))),
        ["--data.target=labels"],
        "choose another --objective",
    ),
    "empty class": (changed(lambda root: (root / "d").mkdir()), [], "d holds no image"),
    "three images": (
        changed(lambda root: [p.unlink() for p in root.glob("*/*") if p.name != "0-0.png"]),
        [],
        "none of the 3 images is in the ",
    ),
    "one class": (
        changed(lambda root: [shutil.rmtree(root / c) for c in "bc"]), [], "only one class folder"
    ),
    "no train": (
        changed(lambda root: draw_classes(root / "val", (1, 1))), [], "no such train/"
    ),
    "unknown class": (
        changed(lambda root: [draw_classes(root / s, n) for s, n in (("train", (2, 2)), ("val", (1, 1, 1)))]),
        [],
        "has the class c, which is not among those of training",
    ),
    "two folders for val": (
        changed(lambda root: [draw_classes(root / s, (1, 1)) for s in ("train", "val", "valid")]),
        [],
        "val and valid, which mean the same",
    ),
    "fold of a given set": (
        changed(lambda root: [draw_classes(root / s, (9, 9)) for s in ("train", "val")]),
        ["--data.fold=0", "--data.num_folds=3"],
        "leave out --data.num_folds",
    ),
    "count": (lambda root: [], ["--data.val_size=20"], "must be a fraction"),
    "fraction": (lambda root: [], ["--data.fraction=0"], "must lie above 0"),
    "no folders": (lambda root: ["--data.root=nowhere"], [], "nowhere holds no class folders"),
}  # fmt: skip


@pytest.mark.parametrize("name", slow_but([*BAD][::3], BAD))
def test_bad_input(name: str, flat: Path, fails: Fails) -> None:
    make, args, said = BAD[name]
    assert said in fails("fit", *QUIET, *FIT, f"--data.root={flat}", *make(flat), *args)


@pytest.mark.slow
def test_class_that_is_new_to_a_run(flat: Path, fit: Callable[..., CLI], fails: Fails) -> None:
    run = fit(*FIT, f"--data.root={flat}").run.folder
    draw(flat / "d" / "0.png", 5)
    assert "has the class d" in fails("fit", f"--run={run}", "--trainer.max_epochs=2", *QUIET)


@pytest.mark.slow
@pytest.mark.needs("check")
def test_check_lists_images_that_look_alike(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("china.jpg"))
    photo.save(flat / "a" / "photo.png")
    photo.resize((200, 133)).save(flat / "b" / "smaller.jpg", quality=40)
    main(["check", *FIT, f"--data.root={flat}"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "1 pairs of 302 images look alike" in said
    assert re.search(r"[0-4] bits: \w+ a/photo.png = \w+ b/smaller.jpg", said)
