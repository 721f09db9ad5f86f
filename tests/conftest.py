"""Tests go through the front door, `project.cli.main`, on small real data, without network, GPU or account."""

import functools
import gc
import hashlib
import http.server
import itertools
import os
import pickle
import re
import struct
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import CLI, main
from project.run.folder import Run, find_run
from tests.study import studied  # noqa: F401, a fixture

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores
    torch.set_num_threads(1)
gc.collect()
gc.freeze()  # what was imported stays: looking through it again and again is 6 % of the tests' time

# A folder with the real MNIST and CIFAR-10, for the few tests that are better with it.
DATA = Path(os.environ["PROJECT_DATA"]).absolute() if "PROJECT_DATA" in os.environ else None
QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


@functools.cache
def is_there(part: str) -> bool:
    """Whether a command, an architecture or a dataset was not deleted, by the name of its module."""
    names = [f"project.{folder}.{part.lower()}" for folder in ("commands", "models", "data")]
    return any(find_spec(name) for name in names)


def existing(names: Iterable[str]) -> list[str]:
    """Those of the names of networks, such as VGG16-bn and MobileNetV3, whose class was not deleted."""
    return [n for n in names if is_there(n.split("-")[0]) or is_there(re.split(r"\d|-", n)[0])]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of parts that were deleted."""
    needs = {item: [part for m in item.iter_markers("needs") for part in m.args] for item in items}
    items[:] = [item for item, parts in needs.items() if all(map(is_there, parts))]
    config.hook.pytest_deselected(items=list(needs.keys() - set(items)))


def slow_but(quick: Collection[str], names: Iterable[str]) -> list[Any]:
    """Parameters of a test, of which only the quick ones run by default."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def a_third_of(cases: Iterable[Any]) -> list[Any]:
    """Cases of a test, of which every third one runs by default."""
    cases = [case if hasattr(case, "marks") else pytest.param(*case) for case in cases]
    slow = [pytest.param(*c.values, id=c.id, marks=[*c.marks, pytest.mark.slow]) for c in cases]
    return [case if i % 3 == 0 else slow[i] for i, case in enumerate(cases)]


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as Python 2's strings, as the published files of CIFAR have them."""

    def save_string(self, value: str | bytes) -> None:
        value = value.encode() if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the user's account, data or earlier tests reaches a test; its runs go to a folder of its own."""
    for name in [name for name in os.environ if name.startswith(("WANDB", "PROJECT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def drawing() -> Iterator[set[str]]:
    """Figures are made but not drawn, which takes half of a short run's time, while this set is empty."""
    import matplotlib.image
    from matplotlib.figure import Figure

    from project.plots import figure, film

    reasons: set[str] = set()
    show_literally, savefig = figure.show_literally, Figure.savefig

    def prepare(figure: Figure) -> None:
        if reasons:
            show_literally(figure)

    def save(figure: Figure, file: Any, **kwargs: Any) -> None:
        if reasons:
            savefig(figure, file, **kwargs)
        else:
            matplotlib.image.imsave(file, np.zeros((1, 1, 3), np.uint8), format="png")

    draw_frame, shades = film.as_frame, itertools.cycle(range(256))

    def as_frame(figure: Figure) -> Image.Image:
        return draw_frame(figure) if reasons else Image.new("L", (1, 1), next(shades))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film, "as_frame", as_frame)
        patch.setattr(figure, "show_literally", prepare)
        patch.setattr(Figure, "savefig", save)
        yield reasons


@pytest.fixture(autouse=True)
def drawn(request: pytest.FixtureRequest, drawing: set[str]) -> Iterator[None]:
    """Figures are drawn in tests with the mark ``draws``."""
    if request.node.get_closest_marker("draws"):
        drawing.add("mark")
    yield
    drawing.discard("mark")


@pytest.fixture
def fit() -> Callable[..., CLI]:
    """``fit`` with further arguments; the digits' config unless they choose another."""

    def run(*args: str) -> CLI:
        cli = main(["fit", *QUIET, *args])
        assert cli is not None
        return cli

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, drawing: set[str]) -> Run:
    """A run of two epochs on the digits with its figures, to look at and not to change."""
    folder = tmp_path_factory.mktemp("finished")
    drawing.add("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        main(
            [
                "fit",
                "--config",
                str(DEFAULT_CONFIG),
                *QUIET,
                "--trainer.max_epochs=2",
                f"--runs_dir={folder}",
            ]
        )
    drawing.discard("finished")
    return find_run(folder / "digits")


@pytest.fixture
def run_copy(finished: Run, tmp_path: Path) -> Run:
    """A copy of `finished` to change."""
    import shutil

    return Run(Path(shutil.copytree(finished.folder, tmp_path / "copies" / "digits" / finished.id)))


@pytest.fixture(scope="session")
def mnist_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's files with the digits of scikit-learn in them: 1,000 for training and 200 for testing."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images * (255 / 16)).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    root = tmp_path_factory.mktemp("data")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, part in (("train", slice(0, 1000)), ("t10k", slice(1000, 1200))):
        n = len(x[part])
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 2051, n, 28, 28) + x[part].tobytes()
        )
        labels = digits.target[part].astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 2049, n) + labels.tobytes()
        )
    return root


@pytest.fixture(scope="session")
def photographs() -> np.ndarray:
    """uint8 (120, 3, 32, 32): pieces of scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    pieces = [
        photo[row : row + 32, column : column + 32]
        for photo in load_sample_images().images
        for row in range(0, 384, 64)
        for column in range(0, 640, 64)
    ]
    return np.stack(pieces).transpose(0, 3, 1, 2)


@pytest.fixture(scope="session")
def cifar_files(tmp_path_factory: pytest.TempPathFactory, photographs: np.ndarray) -> Path:
    """A folder with files like CIFAR-10's and CIFAR-100's that hold `photographs`, the last 20 of them for testing."""
    root = tmp_path_factory.mktemp("cifar")
    for name in ("cifar-10-batches-py", "cifar-100-python"):
        (root / name).mkdir()
    data, classes = photographs.reshape(120, 3072), list(range(100)) + list(range(20))

    def write(path: str, part: slice, **labels: list[int]) -> None:
        with (root / path).open("wb") as file:
            Python2Pickler(file, protocol=2).dump({"data": data[part], **labels})

    for i in range(5):
        part = slice(20 * i, 20 * i + 20)
        write(
            f"cifar-10-batches-py/data_batch_{i + 1}", part, labels=[k % 10 for k in classes[part]]
        )
    write("cifar-10-batches-py/test_batch", slice(100, 120), labels=[k % 10 for k in classes[100:]])
    write("cifar-100-python/train", slice(0, 100), fine_labels=classes[:100])
    write("cifar-100-python/test", slice(100, 120), fine_labels=classes[100:])
    return root


@pytest.fixture
def cifar_root(cifar_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`cifar_files`, with their checksums in the place of the published ones."""
    from torchvision.datasets import CIFAR10, CIFAR100

    for kind in (CIFAR10, CIFAR100):
        for listed in ("train_list", "test_list"):
            folder = cifar_files / kind.base_folder
            names = [name for name, _ in getattr(kind, listed)]
            sums = [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name in names]
            monkeypatch.setattr(kind, listed, sums)
    return cifar_files


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, photographs: np.ndarray) -> Path:
    """A folder like ImageNet's of three classes, with 10 + 4 JPEGs each of 96 x 72 pixels and other shapes."""
    root = tmp_path_factory.mktemp("image folders")
    sizes = [(96, 72), (40, 120), (64, 64)]
    for k, name in enumerate(["n01", "n02", "n03"]):
        for split, start, count in (("train", 0, 10), ("val", 10, 4)):
            (root / split / name).mkdir(parents=True)
            for i in range(start, start + count):
                image = Image.fromarray(photographs[40 * k + i].transpose(1, 2, 0)).resize(
                    sizes[i % 3]
                )
                image.save(root / split / name / f"{i}.JPEG")
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server on this machine gives its files."""
    folder = tmp_path_factory.mktemp("published")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    class QuietServer(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:  # a client that has heard enough
            pass

    with QuietServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command line that must end with exit status 2 and one line on stderr, which it gives."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        assert stop.value.code == 2
        # Lightning says the seed and we the batch before anything can be wrong.
        said = (
            "Seed set to",
            "global batch",
            "W&B:",
            "Downloading:",
            "not downloaded from",
            "adapted to",
            "data: ",
            "as weights",
        )
        lines = [
            line
            for line in capsys.readouterr().err.splitlines()
            if line and not line.startswith(said)
        ]
        lines = [line for line in lines if "B/s]" not in line]  # the bars of downloads
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return run
