"""What a user can get wrong: one line on stderr, exit status 2, nothing lost, nothing executed."""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import project
from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import main
from project.run.folder import Run, find_run
from tests.conftest import QUIET, a_third_of

Fails = Callable[..., str]
ROOT = Path(project.__file__).parent.parent
DIGITS = DEFAULT_CONFIG.read_text()
MLP_ON_MNIST = [
    "fit",
    "--model=MLP",
    "--data=MNIST",
    "--data.download=false",
    "--trainer.max_epochs=1",
    *QUIET,
]


@pytest.mark.parametrize(
    ("args", "said"),
    a_third_of(
        [
            (["fitt"], "did you mean fit?"),
            (["--config", "x.yaml", "fit"], "the command comes first"),
            (["fit", "--trainer.max_epoch=3"], "did you mean trainer.max_epochs?"),
            (["fit", "--model.hiden=[3]"], "did you mean hidden?"),
            (["fit", "--model=MLPP", "--data=Digits"], "no class MLPP; did you mean MLP?"),
            (["fit", "--model=MLP", "--data=Digit"], "no class Digit; did you mean Digits?"),
            (["fit", "--optimizer=SGDD"], "no class SGDD; did you mean SGD?"),
            (["fit", "--lr_schedule=Cosine"], "did you mean WarmupCosine?"),
            (["fit", "--optimizer.lr=fast"], "optimizer.lr: expected float"),
            (
                ["fit", "--optimizer.lr=-1"],
                "--optimizer AdamW cannot be used so: Invalid learning rate",
            ),
            (
                ["fit", "--optimizer=Muon", "--optimizer.lr=-1"],
                "lr is -1.0, but it must not be negative",
            ),
            (["fit", "--optimizer=torch.optim.Muon"], "Muon only supports 2D parameters"),
            (
                ["fit", "--optimizer.fused=true", "--optimizer.foreach=true"],
                "--optimizer AdamW cannot be used so: `fused` and `foreach` cannot be `True` together",
            ),
            (["fit", "--optimizer=SparseAdam"], "is for sparse gradients"),
            (["fit", "--trainer.accelerator=gpu"], "No supported gpu backend"),
            (["fit", "--trainer.strategy=ddb"], "invalid strategy name"),
            (
                ["fit", "--trainer.val_check_interval=1000"],
                "must be less than or equal to the number",
            ),
            (["fit", "--model.activation=gelu"], "expected one of 'relu', 'tanh', 'sigmoid'"),
            (["fit", "--model.dropout=2"], "dropout is 2.0, but it is a probability"),
            (["fit", "--objective.label_smoothing=1.5"], "label_smoothing"),
            (["fit", "--model.hidden=[0]"], "positive"),
            (["fit", "--model.channels_last=true"], "which has no convolution"),
            (
                ["fit", "--model.num_classes=3"],
                "model.num_classes (--model.num_classes) comes from the data",
            ),
            (["fit", "--model.init_args.input_shape=[1,2,3]"], "comes from the data"),
            (["fit", "--model.optimizer=SGD"], "use --optimizer"),
            pytest.param(["fit", "--model=LeNet"], "data", marks=pytest.mark.needs("LeNet")),
            pytest.param(
                ["fit", "--model=LeNet", "--data=Digits"], "12x12", marks=pytest.mark.needs("LeNet")
            ),
            (["fit", "--config=configs/nothing.yaml"], "cannot read the config"),
            (
                ["fit", "--model=MLP"],
                "data has no default: give --data (the default config of digits",
            ),
            (
                ["fit", f"--config={DEFAULT_CONFIG.parent / 'with' / 'ema.yaml'}"],
                "data and model have no default: give --data and --model (the default config",
            ),
            (["fit", "--data.batch_size=0"], "must be positive"),
            (["fit", "--data.batch_size=5000"], "more than the 1294 training samples"),
            (["fit", "--data.val_size=2.0"], "cannot hold out"),
            (["fit", "--data.fold=1"], "belong together"),
            (["fit", "--data.fold=5", "--data.num_folds=5"], "between 0 and 4"),
            (["fit", "--data.fold=0", "--data.num_folds=1"], "between 2 and"),
            (
                ["fit", "--data.fold=0", "--data.num_folds=5", "--data.val_size=0.2"],
                "would do nothing",
            ),
            (["fit", "--images", "a.png"], "only predict and export take it"),
            (["fit", "--input_shape=[1,8,8]"], "only describe takes it"),
            (["fit", "--num_classes=3"], "only describe takes it"),
            *(
                pytest.param(
                    ["describe", f"--model={name}", *flags],
                    said,
                    marks=pytest.mark.needs(name, "describe"),
                )
                for name, flags, said in [
                    ("VGG", ["--input_shape=[3,28,28]"], "not 28x28: use --model.stem small"),
                    (
                        "ResNet",
                        ["--model.stem=small", "--model.pool=avg"],
                        "small stem does not pool",
                    ),
                    ("ResNet", ["--model.depth=19"], "expected one of 18, 34, 50, 101, 152"),
                    ("ResNet", ["--num_classes=-1"], "must be positive"),
                    ("ResNet", ["--num_classes=0"], "must be positive"),
                    ("ResNet", ["--checkpoint=best"], "only validate, test"),
                    (
                        "GoogLeNet",
                        ["--model.stem=small", "--input_shape=[3,-1,5]"],
                        "must be positive",
                    ),
                    (
                        "GoogLeNet",
                        ["--model.stem=small", "--input_shape=[3,1,1]"],
                        "2x2 pixels or more",
                    ),
                ]
            ),
            *(
                pytest.param(
                    ["fit", "--data=ImageNet", "--model=ResNet", flag],
                    said,
                    marks=pytest.mark.needs("ResNet", "ImageNet"),
                )
                for flag, said in [
                    ("--data.min_area=-1", "a fraction of the area"),
                    ("--data.root=nowhere", "holds no folder for each class"),
                ]
            ),
            pytest.param(
                ["compare"],
                "give a run: python -m project compare runs/digits",
                marks=pytest.mark.needs("compare"),
            ),
            pytest.param(
                ["report", "x", "--pict=y"], "unrecognized", marks=pytest.mark.needs("report")
            ),
            (["fit", "--lr_schedule=Polynomial", "--lr_schedule.power=0"], "positive"),
            (["fit", "--checkpoint=best"], "only validate, test, predict and export take it"),
            (["fit", "--seed_everything=true"], "expected int"),
            (["fit", "--seed_everything=None"], "seed_everything: expected int"),
            (["fit", "--lr_schedule=None"], "lr_schedule (--lr_schedule) is null: give Constant"),
            (["fit", "--optimizer=null"], "optimizer (--optimizer) is null: give a class"),
            (["fit", "--model=None", "--data=Digits"], "model has no default: give --model"),
            (["fit", "--model.activation=null"], "model.activation cannot be null"),
            (["fit", "--model.dropout=None"], "model.dropout cannot be null"),
            (["fit", "--model.hidden", "None"], "model.hidden cannot be null"),
            (["fit", "--data.batch_size=None"], "data.batch_size cannot be null"),
            (["fit", "--optimizer.lr=null"], "error: optimizer.lr cannot be null"),
            (["fit", "--lr_schedule.warmup=None"], "error: lr_schedule.warmup cannot be null"),
            (["fit", "--wandb.mode=None"], "wandb.mode: expected one of"),
            (["fit", "--runs_dir=None"], "runs_dir cannot be null"),
            pytest.param(
                ["fit", "--find=lr", "--trainer.fast_dev_run=true"],
                "leave that out",
                marks=pytest.mark.needs("tune"),
            ),
            (["test"], "needs --run"),
            (["test", "--run", "."], "is not a run"),
            (["predict", "--run", "nowhere", "--images", "a.png"], "nowhere does not exist: give"),
        ]
    ),
)
def test_bad_command_line(args: list[str], said: str, fails: Fails) -> None:
    assert said in fails(*args)
    assert not list(Path().glob("runs/*"))  # no folder of a run that never began


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["--optimizer=Rotat"], ""),
        (["--optimizer=MLPP"], ""),
        (["--optimizer=sgd"], "; did you mean SGD?"),
        (["--lr_schedule=MLPP"], ""),
        (["--data.mix=Rotat"], ""),
        (["--data.mix=Mixp"], "; did you mean Mixup?"),
        (["--data.augment+=Mixu"], ""),
        (["--data.augment+=Rotte"], "; did you mean Rotate?"),
        (["--trainer.callbacks+=EarlyStoping"], "; did you mean EarlyStopping?"),
        (["--trainer.logger=CSVLoger"], "; did you mean CSVLogger?"),
        (["--trainer.logger=SGDD"], ""),
        (["--trainer.plugins+=SlurmEnvironment"], "; did you mean SLURMEnvironment?"),
    ],
)
def test_only_a_class_that_fits_the_key_is_suggested(
    args: list[str], hint: str, fails: Fails
) -> None:
    key, _, word = args[0].removeprefix("--").partition("=")
    assert fails("fit", *args) == f"error: {key.removesuffix('+')}: there is no class {word}{hint}"


@pytest.mark.parametrize(
    ("args", "end"),
    a_third_of(
        [
            (
                ["--data.augment+=Rotate", "--data.augment.degres=3"],
                "not accepted by Rotate; did you mean degrees?",
            ),
            (
                ["--data.mix=Mixup", "--data.mix.alph=3"],
                "not accepted by Mixup; did you mean alpha?",
            ),
            (
                ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitr=a"],
                "did you mean monitor?",
            ),
            (["--optimizer.degrees=3"], "Option 'degrees' is not accepted by AdamW"),
            (
                ["--wandb.tag=[a]"],
                "unrecognized arguments: --wandb.tag=[a]; did you mean wandb.tags?",
            ),
            (
                ["--model_checkpoint.monito=a"],
                "--model_checkpoint.monito=a; did you mean model_checkpoint.monitor?",
            ),
            (["--wandb.max_epochs=3"], "unrecognized arguments: --wandb.max_epochs=3"),
            (["--modle=MLP"], "unrecognized arguments: --modle=MLP; did you mean model?"),
            (["--lr", "0.1"], "unrecognized arguments: --lr 0.1; did you mean optimizer.lr?"),
            (["--epochs=3"], "did you mean trainer.max_epochs?"),
            (["--max_epoch=3"], "did you mean trainer.max_epochs?"),
            (["--seed=1"], "did you mean seed_everything?"),
            (["--batch_size=8"], "did you mean data.batch_size?"),
            (["--gpus=1"], "did you mean trainer.devices?"),
            (["--worker=1"], "did you mean data.num_workers?"),
            (["--zzzz=1"], "unrecognized arguments: --zzzz=1"),
            (
                ["--data.augment=Flip"],
                "as in --data.augment [Flip], or --data.augment+=Flip to add to it",
            ),
            (
                ["--model.hidden", "512"],
                "error: model.hidden: expected a list, as in --model.hidden [512]",
            ),
            (["--model.hidden=512,256"], "expected a list, as in --model.hidden [512,256]"),
            (["--data.augment.help"], "arguments of one class: give --data.augment.help CLASS"),
            (["--model=my.module.X"], "looked for in the current folder and in PYTHONPATH"),
            (["--model=MLP"], "is given: add --config configs/digits.yaml to keep it)"),
        ]
    ),
)
def test_only_an_argument_of_the_class_is_suggested(
    args: list[str], end: str, fails: Fails
) -> None:
    assert fails("fit", *args).endswith(end)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DIGITS.replace("hidden:", "hiden:"), "did you mean hidden?"),
        (DIGITS.replace("max_epochs:", "max_epoch:"), "did you mean trainer.max_epochs?"),
        (DIGITS.replace("class_path: Rotate", "class_path: Rotte"), "did you mean Rotate?"),
        pytest.param(
            DIGITS.replace("class_path: MLP", "class_path: LeNet"),
            "'hidden' is not accepted by LeNet",
            marks=pytest.mark.needs("LeNet"),
        ),
        (DIGITS.replace("hidden:", "num_classes: 3\n    hidden:"), "comes from the data"),
        (
            DIGITS.replace(
                "    hidden: [512, 256]\n    batch_norm: true\n    dropout: 0.3\n", "    - 1\n"
            ),
            "model",
        ),
        (
            DIGITS.replace("max_epochs: 60", "max_epochs: None"),
            "trainer.max_epochs (in bad.yaml) is the word None",
        ),
        (
            DIGITS.replace("dropout: 0.3", "dropout: None"),
            "model.dropout (in bad.yaml) is the word None: write null",
        ),
        (DIGITS.replace("dropout: 0.3", "dropout: null"), "model.dropout cannot be null"),
        (DIGITS.replace("class_path: WarmupCosine", "class_path: None"), "is null: give Constant"),
        (DIGITS + "wandb: {mode: None}\n", "wandb.mode (in bad.yaml) is the word None: write null"),
        ("model: [1", "is not YAML"),
        ("", "holds no keys"),
        ("- a\n- b\n", "holds no keys"),
    ],
)
def test_bad_config(text: str, said: str, fails: Fails) -> None:
    Path("bad.yaml").write_text(text)
    assert said in fails("fit", "--config", "bad.yaml")


def test_config_in_another_encoding(fails: Fails) -> None:
    Path("latin.yaml").write_bytes("# réseau\n".encode("latin-1") + DIGITS.encode())
    said = fails("fit", "--config", "latin.yaml")
    assert (
        said
        == "error: the config latin.yaml is not UTF-8 (byte 0xe9 at position 3): save it as UTF-8"
    )


def test_config_that_is_a_pickle_is_not_executed(fails: Fails) -> None:
    Path("bad.yaml").write_text("!!python/object/apply:os.system ['touch canary']\n")
    assert "is not YAML" in fails("fit", "--config", "bad.yaml")
    assert not Path("canary").exists()


class Bomb:
    def __reduce__(self) -> tuple:
        return os.system, ("touch canary",)


def damage(kind: str, path: Path) -> None:
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "pickle in torch's format":
        torch.save({"state_dict": {}, "epoch": 0, "global_step": 0, "x": Bomb()}, path)
    elif kind == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    elif kind == "another model":
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["state_dict"]["layers.0.weight"] = torch.zeros(3, 64)
        torch.save(checkpoint, path)


@pytest.mark.parametrize("command", ["test", "fit"])
@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "empty",
        "text",
        "pickle",
        "pickle in torch's format",
        "foreign",
        "another model",
    ],
)
def test_bad_checkpoint(kind: str, command: str, run_copy: Run, fails: Fails) -> None:
    for path in run_copy.checkpoints.iterdir() if command == "fit" else []:
        if path.name != "last.ckpt":  # that it would fall back to
            path.unlink()
    damage(kind, run_copy.checkpoint("best" if command == "test" else "last"))
    said = fails(command, "--run", str(run_copy.folder), *QUIET)
    assert ".ckpt" in said or "layers.0.weight" in said
    assert not list(Path().rglob("canary"))
    assert run_copy.folder.exists()


def test_missing_checkpoint(run_copy: Run, fails: Fails) -> None:
    assert "there is no checkpoint" in fails(
        "test", "--run", str(run_copy.folder), "--checkpoint=x.ckpt", *QUIET
    )


def test_config_of_another_model_on_a_run(run_copy: Run, fails: Fails) -> None:
    said = fails("test", "--run", str(run_copy.folder), "--model.hidden=[7]", *QUIET)
    assert "layers.0.weight is (512, 64) in it and (7, 64) in this MLP" in said


@pytest.mark.needs("mnist")
def test_mnist_without_files_and_network(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    said = fails(*MLP_ON_MNIST, "--data.root=nowhere")
    assert str(Path("nowhere/MNIST/raw").absolute()) in said
    assert "train-images-idx3-ubyte" in said
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/", "http://127.0.0.1:9/again/"])
    said = fails(*[arg for arg in MLP_ON_MNIST if "download" not in arg], "--data.root=nowhere")
    assert "Connection refused" in said
    assert "put train-images-idx3-ubyte" in said


@pytest.mark.needs("mnist")
@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:-100], "its header says"),
        ("train-images-idx3-ubyte", lambda data: b"\0\0\0\0" + data[4:], "magic number is 0"),
        ("train-images-idx3-ubyte", lambda data: b"", "magic number"),
        ("train-images-idx3-ubyte", lambda data: data[:6], "header"),
        ("train-labels-idx1-ubyte", lambda data: data[:-1], "its header says"),
        (
            "train-labels-idx1-ubyte",
            lambda data: data[:8] + b"\x0b" + data[9:],
            "do not fit each other",
        ),
        (
            "train-labels-idx1-ubyte",
            lambda data: data[:4] + (999).to_bytes(4) + data[9:],
            "do not fit each other",
        ),
    ],
)
def test_damaged_mnist(
    name: str, edit: Callable, said: str, mnist_root: Path, fails: Fails
) -> None:
    shutil.copytree(mnist_root, "copy")
    path = Path("copy/MNIST/raw") / name
    path.write_bytes(edit(path.read_bytes()))
    line = fails(*MLP_ON_MNIST, "--data.root=copy")
    assert said in line
    assert "damaged" in line


@pytest.mark.parametrize("content", [b"not an image", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_image_that_cannot_be_decoded(content: bytes, run_copy: Run, fails: Fails) -> None:
    Path("bad.png").write_bytes(content)
    assert "cannot decode the image bad.png" in fails(
        "predict", "--run", str(run_copy.folder), "--images", "bad.png", *QUIET
    )
    Path("empty").mkdir()
    assert "holds no image" in fails(
        "predict", "--run", str(run_copy.folder), "--images", "empty", *QUIET
    )
    assert "needs --images" in fails("predict", "--run", str(run_copy.folder), *QUIET)


@pytest.mark.slow
def test_batch_that_does_not_divide_by_the_devices() -> None:
    """In a process of its own: Lightning starts another for the second device."""
    done = shell("fit", "--trainer.devices=2", "--data.batch_size=63", "--trainer.accelerator=cpu")
    assert done.returncode == 2
    assert "does not divide by 2 devices x accumulate 1: give a multiple of 2" in done.stderr
    assert "Traceback" not in done.stderr


BUGS = """
import lightning as L
from project.data import Digits
from project.data.transforms.augment import Augmentation
from project.models import MLP

class InForward(MLP):
    def forward(self, x):
        return super().forward(x) + int("abc")

class InConstructor(MLP):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.width = int("abc")

class InOptimizer(MLP):
    def configure_optimizers(self):
        open("nowhere/at/all")

class InDataset(Digits):
    def load(self, train):
        return {}["abc"]

class InTransform(Augmentation):
    def __call__(self, x, y, generator):
        raise ValueError("my own bug")

class InCallback(L.Callback):
    def setup(self, trainer, pl_module, stage):
        raise ValueError("my own bug")

class InStep(L.Callback):
    def on_train_batch_end(self, *args):
        raise OSError("my own bug")
"""


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        (["--model=bugs.InForward", "--data=Digits"], "ValueError"),
        *(
            pytest.param(*values, marks=pytest.mark.slow)
            for values in [
                (["--model=bugs.InConstructor", "--data=Digits"], "ValueError"),
                (["--model=bugs.InOptimizer", "--data=Digits"], "FileNotFoundError"),
                (["--model=MLP", "--data=bugs.InDataset"], "KeyError"),
                (["--data.augment=[{class_path: bugs.InTransform}]"], "ValueError"),
                (["--trainer.callbacks+=bugs.InCallback"], "ValueError"),
                (["--trainer.callbacks+=bugs.InStep"], "OSError"),
            ]
        ),
    ],
)
def test_bug_of_the_users_keeps_its_traceback(args: list[str], kind: str) -> None:
    Path("bugs.py").write_text(BUGS)
    done = shell("fit", *args, "--trainer.max_epochs=1", *QUIET)
    assert done.returncode == 1
    last = [line for line in done.stderr.splitlines() if line.strip()][-1]
    assert last.startswith(f"{kind}: ")
    frames = [line for line in done.stderr.splitlines() if '/bugs.py"' in line]
    bug = BUGS.splitlines()[int(frames[-1].split(", ")[1].removeprefix("line ")) - 1]
    assert any(part in bug for part in ('int("abc")', "nowhere", '{}["abc"]', "my own bug"))


@pytest.mark.slow
def test_bug_in_a_class_of_the_script_that_is_run_keeps_its_traceback() -> None:
    script = "class Net(InConstructor):\n    pass\nfrom project.cli import main\n"
    Path("script.py").write_text(
        BUGS + script + "main(['fit', '--model=__main__.Net', '--data=Digits'])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 1
    assert 'script.py", line' in done.stderr


@pytest.mark.needs("compare", "report")
@pytest.mark.parametrize(
    "args", [["report", "--output=/proc/a/b.html"], ["compare", "--picture=/proc/a.png"]]
)
def test_place_that_cannot_be_written(args: list[str], finished: Run, fails: Fails) -> None:
    assert "cannot write /proc/" in fails(args[0], str(finished.folder), args[1])


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_divergence_stops_and_keeps_the_last_good_checkpoint(
    bad: str, run_copy: Run, fails: Fails
) -> None:
    """The first weights to be updated after the checkpoint's 40 steps meet a loss that is not finite at step 43."""
    before = {path.name: path.read_bytes() for path in run_copy.checkpoints.iterdir()}
    Path("diverge.py").write_text(
        "from project.models import MLP\n"
        "class Diverging(MLP):\n"
        "    def loss(self, x, y):\n"
        "        loss, logits = super().loss(x, y)\n"
        f"        return loss * (float('{bad}') if self.global_step >= 43 else 1), logits\n"
    )
    sys.path.insert(0, str(Path().absolute()))
    sys.modules.pop("diverge", None)
    config = run_copy.config.read_text().replace("project.models.MLP", "diverge.Diverging")
    run_copy.config.write_text(config)
    said = fails("fit", "--run", str(run_copy.folder), "--trainer.max_epochs=4", *QUIET)
    assert f"the training loss became {bad}" in said
    assert "at step 43" in said
    assert {path.name: path.read_bytes() for path in run_copy.checkpoints.iterdir()} == before


def test_unwritable_folder(fails: Fails) -> None:
    Path("file").write_text("in the way")
    assert "cannot make the run's folder" in fails("fit", "--runs_dir=file", *QUIET)


def shell(*args: str, **options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "project", *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=100, check=False, **options
    )  # type: ignore[call-overload]


def test_a_package_without_configs_says_so(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is after ``pip install .``, whose wheel holds the package alone."""
    monkeypatch.setattr("project.cli.arguments.DEFAULT_CONFIG", Path("site/configs/digits.yaml"))
    assert "work from a clone" in fails("fit")


@pytest.mark.slow
def test_disk_full_while_saving() -> None:
    """A limit on the size of files stands in for a full disk: the write of the checkpoint fails in its middle."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = shell("fit", "--trainer.max_epochs=1", *QUIET, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "cannot save" in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(Path().rglob("*.part"))


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env |= {"WANDB_MODE": "offline"}
    command = [
        sys.executable,
        "-m",
        "project",
        "fit",
        "--trainer.max_epochs=5000",
        "--data.num_workers=2",
        *QUIET,
    ]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=env, start_new_session=True
    )
    try:
        for _ in range(600):
            if list(Path().glob("runs/digits/*/checkpoints/last.ckpt")):
                break
            time.sleep(0.1)
        os.killpg(
            process.pid, signal.SIGINT
        )  # as a terminal does: to W&B's process and the loader's too
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    run = find_run(Path("runs/digits"))
    assert f"python -m project fit --run {run.folder}" in line
    steps = torch.load(run.checkpoint("last"), weights_only=True)["global_step"]
    assert steps > 0
    cli = main(["fit", "--run", str(run.folder), f"--trainer.max_epochs={steps // 20 + 2}", *QUIET])
    assert cli is not None
    assert cli.trainer.global_step == (steps // 20 + 2) * 20
