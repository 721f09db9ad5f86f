"""`new`: a copy of the template under another name, whole or without some of its parts."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import project
from project.cli.main import main
from project.commands import new
from tests.test_deletable import PARTS

pytestmark = pytest.mark.needs("new")
Fails = Callable[..., str]
ROOT, OLD = Path(project.__file__).parent.parent, project.__name__
FOLDERS = (OLD, "configs", "tests", ".ci", ".github")


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the template, committed as it is now; the working directory lies beside it."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Ada\nemail = ada@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("EMAIL", raising=False)
    folder, here = tmp_path / "template", tmp_path / "here"
    here.mkdir()
    for name in [name for name in FOLDERS if (ROOT / name).exists()]:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [path for path in ROOT.iterdir() if path.is_file()]:
        shutil.copy(path, folder)
    monkeypatch.chdir(here)
    monkeypatch.setattr(new, "ROOT", folder)
    git(folder, "init", "--quiet")
    save(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.check_output(["git", *words], cwd=folder, text=True)


def save(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=as it is")


def tracked(folder: Path) -> list[str]:
    return git(folder, "ls-files").splitlines()


def run(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder.absolute()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_copy_is_imported_and_trains(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", "my-lab"])
    copy = Path("my-lab").absolute()
    said = capsys.readouterr().out
    assert "the package is called my_lab, because my-lab is no name in Python" in said
    assert "python -m my_lab fit" in said
    assert git(copy, "log", "--format=%an %s").startswith(f"Ada Start my_lab from {OLD} ")
    assert not git(copy, "status", "--porcelain")
    assert "user" not in (copy / ".git" / "config").read_text()
    # Each file is there, with its mode.
    modes = [line.split()[0] for line in git(copy, "ls-files", "--stage").splitlines()]
    old_modes = [line.split()[0] for line in git(template, "ls-files", "--stage").splitlines()]
    assert sorted(modes) == sorted(old_modes)
    assert sorted(tracked(copy)) == sorted(
        re.sub(f"^{OLD}/", "my_lab/", path) for path in tracked(template)
    )
    run(copy, "tests/import_and_train.py", str(copy))
    assert (copy / "runs" / "digits").exists()


def test_a_copy_has_what_is_not_committed_yet(template: Path) -> None:
    network = template / OLD / "models" / "tinyres.py"
    network.write_text(f"from {OLD}.models.mlp import MLP\n\n\nclass TinyRes(MLP):\n    pass\n")
    with (template / OLD / "models" / "__init__.py").open("a") as file:
        file.write(f"from {OLD}.models.tinyres import TinyRes\n")
    (template / "runs").mkdir()
    (template / "runs" / "ignored.txt").touch()
    main(["new", "lab"])
    assert "lab/models/tinyres.py" in tracked(Path("lab"))
    imports = Path("lab", "lab", "models", "__init__.py").read_text()
    assert "from lab.models.tinyres import TinyRes" in imports
    assert not Path("lab", "runs").exists()


# The English word, W&B's parameter, and the tables of pyproject.toml.
REMAINS = re.compile(
    r"\b([Tt]he|[Tt]his|[Aa]) WORD('s)?\b"
    r"|\bWORD(=(WORD\b)?|: (?=Name|str))|[a-z-]\.WORD\b"
    r"|(new \.\./|--name |the package )WORD\b"  # the README's example
    r'|"WORD"\)  # W&B\'s|\[WORD[].]'.replace("WORD", OLD)
)


def test_what_remains_of_the_old_name(template: Path) -> None:
    main(["new", "mylab", "--name=zebra"])
    for path in tracked(Path("mylab")):
        assert OLD not in Path(path).parts
        for line in (Path("mylab") / path).read_text(errors="replace").splitlines():
            assert not re.search(rf"\b{OLD}\b", REMAINS.sub("", line)), f"{path}: {line}"
    texts = [
        "".join((folder / path).read_text(errors="replace") for path in tracked(folder))
        for folder in (template, Path("mylab"))
    ]
    for words in ("--wandb.project", " the project ", "the project's", "PROJECT_DATA"):
        assert texts[0].count(words) == texts[1].count(words) > 0
    content = tomllib.loads(Path("mylab", "pyproject.toml").read_text())
    metadata = next(table for table in content.values() if "requires-python" in table)
    assert metadata["name"] == "zebra"
    assert content["tool"]["mypy"]["files"] == ["zebra"]
    assert metadata["optional-dependencies"]["test"][0].startswith("zebra[")


MANY = ("sweep", "GoogLeNet", "cifar", "imagenet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [[], pytest.param([f"--without={','.join(MANY)}"], marks=pytest.mark.needs(*MANY))]
)
def test_the_rules_of_the_code_hold_in_a_copy(template: Path, words: list[str]) -> None:
    """Also with the longest name that no line of the package is too long for."""
    pytest.importorskip("ruff")  # wraps the lines
    name = "laboratory_of_ada_24"
    main(["new", name, *words])
    run(Path(name), "-m", "pytest", "-n0", "-p", "no:cacheprovider", "tests/test_design.py")
    for path in Path(name, name).rglob("*.py"):
        for line in path.read_text().splitlines():
            assert len(line) <= 100 or name not in line, f"{path}: {line}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_copy_without_any_part_passes_its_tests(template: Path) -> None:
    main(["new", "lab", f"--without={','.join(part.name for part in PARTS)}"])
    run(Path("lab"), "-m", "pytest", "-n2", "-p", "no:cacheprovider")


@pytest.mark.slow
def test_a_copy_of_a_copy(template: Path) -> None:
    main(["new", "lab_one"])
    run(Path("lab_one"), "-m", "lab_one", "new", "../second")
    for path in tracked(Path("second")):
        text = Path("second", path).read_text(errors="replace")
        assert "lab_one" not in text, path


REFUSED = {
    "a keyword": (["lambda"], "lambda is no name for a package"),
    "a number": (["2026"], "2026 is no name for a package"),
    "not turned into a name": (["lab", "--name=my-lab"], "my-lab is no name for a package"),
    "of the standard library": (["json"], "json is the name of an installed module"),
    "of Python's own tests": (["test"], "test is the name of an installed module"),
    "an installed package": (["lab", "--name=torch"], "torch is the name of an installed module"),
    "a folder of the template": (["configs"], "configs is a folder of the template"),
    "an ignored folder": (["runs"], "runs is a folder that .gitignore leaves out"),
    "a full folder": (["full", "--name=lab"], "is there already"),
    "a file": (["full/file", "--name=lab"], "is there already"),
    "in the template": (["../template/lab"], "lies inside the template"),
    "an unknown part": (["lab", "--without=new,sweeep"], "there is no part sweeep to leave out"),
    "a part that stays": (["lab", "--without=fit"], "there is no part fit to leave out"),
    "a part of the default config": (["lab", "--without=MLP"], "configs/digits.yaml needs it"),
    "what others build on": (["lab", "--without=task"], "task cannot be left out, because"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, template: Path, fails: Fails) -> None:
    words, message = REFUSED[case]
    Path("full").mkdir()
    Path("full", "file").touch()
    before = sorted(Path().rglob("*"))
    assert message in fails("new", *words)
    assert sorted(Path().rglob("*")) == before
    assert not git(template, "status", "--porcelain")


def test_what_needs_a_checkout(
    template: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a wheel, also one in a virtual environment that lies in another repository."""
    git(template, "rm", "-r", "--quiet", "--cached", OLD)
    assert "work from a git clone" in fails("new", "lab")
    shutil.rmtree(template / ".git")
    assert "work from a git clone" in fails("new", "lab")
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in fails("new", "lab")


def test_files_that_are_no_text(template: Path) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + f"import {OLD}\n".encode() + bytes(range(256))
    (template / "docs").mkdir()
    (template / "docs" / "a picture für alle.png").write_bytes(picture)
    (template / "docs" / "tour.ipynb").write_text(f'{{"source": ["from {OLD} import load\\n"]}}')
    (template / "docs" / "windows.md").write_bytes(f"python -m {OLD} fit\r\n".encode())
    save(template)
    main(["new", "lab"])
    docs = Path("lab", "docs")
    assert (docs / "a picture für alle.png").read_bytes() == picture
    assert (docs / "tour.ipynb").read_text() == '{"source": ["from lab import load\\n"]}'
    assert (docs / "windows.md").read_bytes() == b"python -m lab fit\r\n"


def test_without_an_identity_nothing_is_committed(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (template.parent / "gitconfig").write_text("")
    main(["new", "lab"])
    assert "staged but not committed" in capsys.readouterr().out
    staged = git(Path("lab"), "diff", "--staged", "--name-only").splitlines()
    assert len(staged) == len(tracked(template))
    assert (template.parent / "gitconfig").read_text() == ""


def test_from_within_a_hook_of_another_repository(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(template / ".git"))
        main(["new", "lab"])
    assert len(git(Path("lab"), "log", "--oneline").splitlines()) == 1
    assert not git(template, "status", "--porcelain")


@pytest.mark.needs("sweep", "cifar")
def test_in_place(template: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template)
    Path("notes.txt").touch()
    assert "has uncommitted changes" in fails("new", ".", "--name=lab")
    Path("notes.txt").unlink()
    cache = Path(OLD, "commands", "sweep", "__pycache__")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "trial.cpython-311.pyc").touch()
    commit, before = git(template, "rev-parse", "HEAD"), tracked(template)
    main(["new", ".", "--name=lab", "--without=sweep,cifar"])
    assert git(template, "rev-parse", "HEAD") == commit
    assert not Path(OLD).exists()
    assert not Path("lab", "commands", "sweep").exists()
    git(template, "add", "--all")
    gone = set(before) - {re.sub("^lab/", f"{OLD}/", path) for path in tracked(template)}
    assert {
        f"{OLD}/data/cifar.py",
        f"{OLD}/commands/sweep/trial.py",
        "configs/sweeps/digits.yaml",
    } <= gone
    assert "from lab.cli.main import main" in Path("lab", "__main__.py").read_text()


# What goes with a part, as patterns of paths, and a word that no list or table has afterwards.
WITHOUT = {
    "sweep": (
        [f"{OLD}/commands/sweep/*.py", "configs/sweeps/digits.yaml", "tests/test_sweep*.py"],
        r"sweep",
    ),
    "GoogLeNet": ([f"{OLD}/models/googlenet.py", "configs/*_googlenet.yaml"], r"GoogLeNet"),
    "scikit_learn": (
        [
            f"{OLD}/data/scikit_learn.py",
            "configs/tables.yaml",
            "configs/results/tables*.json",
        ],
        r"tables|Diabetes|BreastCancer",
    ),
    "CIFAR": (
        [
            f"{OLD}/data/cifar.py",
            "configs/cifar*.yaml",
            "configs/results/cifar10_fast.json",
            "tests/test_benchmarks.py",
            "tests/test_download.py",
        ],
        r"CIFAR100?|cifar10_fast",
    ),
}


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.needs(part)) for part in WITHOUT]
)
def test_without_a_part(
    part: str, template: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    patterns, word = WITHOUT[part]
    main(["new", "lab", f"--name={OLD}", f"--without={part}"])
    assert f"left out: {part.lower()}\n" in capsys.readouterr().out
    gone = set(tracked(template)) - set(tracked(Path("lab")))
    assert gone == {
        path.relative_to(template).as_posix()
        for pattern in patterns
        for path in template.glob(pattern)
    }
    lists = [
        path for path in Path("lab", OLD).glob("*/__init__.py") if path.parent.name != "loggers"
    ]
    for path in [*lists, Path("lab", "pyproject.toml")]:
        assert not re.search(rf"\b({word})\b", path.read_text()), path
    for path in Path("lab").rglob("*.md"):
        for line in path.read_text().splitlines():
            assert not line.startswith(("| `", "| [`")) or not re.search(
                rf"`({word})`", line.split("|")[1]
            )
            assert not line.startswith(f"python -m {OLD} {word} ")


@pytest.mark.slow
@pytest.mark.needs("Airbench", "cifar")
def test_tests_of_a_part_are_deselected(template: Path) -> None:
    main(["new", "lab", "--without=cifar"])
    words = ["-m", "pytest", "-n0", "-m=", "--collect-only", "-q", "tests/test_airbench.py"]
    said = run(Path("lab"), *words)
    assert "test_recipe_trains_and_goes_on_exactly" not in said
    assert "test_first_layer_whitens" in said
