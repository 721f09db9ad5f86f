"""Publishing weights on the Hugging Face Hub, and starting from those that are there."""

import functools
import http.server
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from project import models
from project.cli.main import CLI, main
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, find_run
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("push")
Fails = Callable[..., str]
SHORT = ["--data.batch_size=32", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
COMMIT = "0123456789" * 4


class Hub(http.server.SimpleHTTPRequestHandler):
    """The answers of the Hub for a public repository's files."""

    def end_headers(self) -> None:
        self.send_header("ETag", f'"{hash(self.path):x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the files of a Hub on this machine: user/name/resolve/main/FILE."""
    folder = tmp_path / "hub"
    folder.mkdir()
    handler = functools.partial(Hub, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        use_hub(monkeypatch, f"http://127.0.0.1:{httpd.server_address[1]}", tmp_path / "cache")
        yield folder
        httpd.shutdown()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    """As HF_ENDPOINT and HF_HUB_CACHE do, which are read once in a process."""
    path = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def pushed(run: Run, folder: Path, *args: str) -> Path:
    main(["push", "--run", str(run.folder), "--to=user/name", "--dry-run", str(folder), *args])
    return folder


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_files(run_copy: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = (pushed(run_copy, tmp_path / "before") / "README.md").read_text()
    assert "The test set was not evaluated in this run." in card
    assert "model-index" not in front_matter(card)

    main(["test", "--run", str(run_copy.folder), *QUIET])
    capsys.readouterr()
    folder = pushed(run_copy, tmp_path / "after")
    assert "--model.weights hf:user/name" in capsys.readouterr().out
    checkpoint = read_checkpoint(run_copy.checkpoint("best"))
    state = load_file(folder / "model.safetensors")
    assert state.keys() == checkpoint["state_dict"].keys()
    assert all(torch.equal(state[name], checkpoint["state_dict"][name]) for name in state)
    with safe_open(folder / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["class_names"]) == list("0123456789")
    assert (metadata["mode"], json.loads(metadata["step"])) == ("L", checkpoint["global_step"])

    [tested] = map(json.loads, run_copy.tests.read_text().splitlines())
    card = (folder / "README.md").read_text()
    [result] = front_matter(card)["model-index"][0]["results"]
    assert result["dataset"] == {"name": "Digits", "type": "digits", "split": "test"}
    assert result["metrics"] == [{"type": "accuracy", "value": tested["test/acc"]}]
    best = json.loads(run_copy.environment.read_text())["best"]
    assert f"| acc | {best['val/acc']:.4f} | {tested['test/acc']:.4f} |" in card
    assert f"evaluated 1 time in this run:\n\n- {tested['time']}, step {tested['step']}" in card
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"]["class_path"] == "project.models.MLP"
    for path in folder.iterdir():  # where it was trained is nobody's business
        assert str(tmp_path.parent).encode() not in path.read_bytes(), path


def test_results_are_those_of_the_checkpoint(run_copy: Run, tmp_path: Path) -> None:
    main(["test", "--run", str(run_copy.folder), "--checkpoint=last", *QUIET])
    card = (pushed(run_copy, tmp_path / "best") / "README.md").read_text()
    assert "model-index" not in front_matter(card)
    assert "evaluated 1 time" in card
    card = (pushed(run_copy, tmp_path / "last", "--checkpoint=last") / "README.md").read_text()
    assert "model-index" in front_matter(card)


@pytest.mark.slow
@pytest.mark.needs("ResNet", "cifar")
def test_torchvision_loads_it(
    cifar_root: Path, tmp_path: Path, fit: Callable[..., CLI], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the card's own code, which is there only where the outputs are the same."""
    data = ["--data=CIFAR10", f"--data.root={cifar_root}", *SHORT]
    fit("--model=ResNet", "--model.stem=imagenet", *data, "--experiment=own")
    folder = pushed(run := find_run(Path("runs/own")), tmp_path / "own")
    card = (folder / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda _, name: str(folder / name))
    exec(code[1], names := {})
    ours = models.ResNet(num_classes=10, input_shape=(3, 32, 32), stem="imagenet").eval()
    ours.load_state_dict(read_checkpoint(run.checkpoint("best"))["state_dict"])
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(names["model"](x), ours(x))

    fit("--model=ResNet", "--model.stem=small", *data, "--experiment=small")
    card = (pushed(find_run(Path("runs/small")), tmp_path / "small") / "README.md").read_text()
    assert "torchvision" not in card.split("## Use")[1]


@pytest.mark.needs("torchvision_models", "cifar")
def test_names_are_the_librarys(cifar_root: Path, tmp_path: Path, fit: Callable[..., CLI]) -> None:
    import torchvision

    data = ["--data=CIFAR10", f"--data.root={cifar_root}", *SHORT]
    fit("--model=Torchvision", "--model.name=squeezenet1_1", *data, "--experiment=squeezenet")
    folder = pushed(find_run(Path("runs/squeezenet")), tmp_path / "pushed")
    network = torchvision.models.squeezenet1_1(num_classes=10)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    assert 'get_model("squeezenet1_1", num_classes=10)' in (folder / "README.md").read_text()


def test_weights_from_the_hub(
    run_copy: Run, hub: Path, fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    pushed(run_copy, hub / "user" / "name" / "resolve" / "main")
    weights = read_checkpoint(run_copy.checkpoint("best"))["state_dict"]
    start = ["--trainer.max_epochs=1", "--optimizer.lr=0"]
    cli = fit(*start, "--model.weights=hf:user/name")
    for name, parameter in cli.model.named_parameters():  # the statistics of batch norm went on
        assert torch.equal(parameter, weights[name])
    # The run is complete without the Hub.
    (hub / "user" / "name" / "resolve" / "main" / "model.safetensors").unlink()
    main(["validate", "--run", str(cli.run.folder), *QUIET])
    card = (pushed(cli.run, hub / "again") / "README.md").read_text()
    assert front_matter(card)["base_model"] == "user/name"


@pytest.mark.slow
@pytest.mark.needs("image_folder", "ResNet")
def test_images_are_made_as_the_weights_of_the_hub_expect_them(
    folders: Path, hub: Path, fit: Callable[..., CLI]
) -> None:
    photos = ["--data=ImageFolder", f"--data.root={folders}", "--data.batch_size=8"]
    photos += ["--model=ResNet", "--trainer.max_epochs=1"]
    seen = ["--data.image_size=64", "--data.resize=70", "--data.interpolation=bicubic"]
    fit(*photos, *seen, "--data.mean=[0.4,0.5,0.6]", "--experiment=first")
    pushed(find_run(Path("runs/first")), hub / "user" / "name" / "resolve" / "main")
    data = fit(*photos, "--model.weights=hf:user/name", "--experiment=second").datamodule
    assert data.input_shape == (3, 64, 64)
    assert (data.crops.short_side, data.crops.interpolation) == (70, "bicubic")
    assert tuple(data.mean) == (0.4, 0.5, 0.6)


def test_a_file_of_safetensors(tmp_path: Path, fails: Fails, fit: Callable[..., CLI]) -> None:
    model = models.MLP(num_classes=10, input_shape=(1, 8, 8), hidden=[16])
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    size = ["--data=Digits", "--model=MLP", "--model.hidden=[16]", "--trainer.max_epochs=1"]
    trained = fit(*size, "--optimizer.lr=0", f"--model.weights={tmp_path / 'w.safetensors'}").model
    for name, tensor in model.state_dict().items():
        assert torch.equal(trained.state_dict()[name], tensor)
    (tmp_path / "bad.safetensors").write_bytes(b"no safetensors at all")
    said = fails("fit", *size, f"--model.weights={tmp_path / 'bad.safetensors'}")
    assert "bad.safetensors" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "give --to user/name"),
        (["--to=name"], "name is no name of a repository"),
        (["--to=user/na me"], "is no name of a repository"),
        (["--to=user/name", "--checkpoint=none.ckpt"], "none.ckpt"),
    ],
)
def test_refused(args: list[str], said: str, run_copy: Run, fails: Fails) -> None:
    assert said in fails("push", "--run", str(run_copy.folder), "--dry_run=out", *args)
    assert not Path("out/model.safetensors").exists()


def test_the_hub_refuses(
    run_copy: Run, hub: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = fails("push", "--run", str(run_copy.folder), "--to=user/name")
    assert "cannot publish user/name" in said  # the server takes no files
    assert "HF_TOKEN" in said
    digits = ["--data=Digits", "--model=MLP"]
    said = fails("fit", *digits, "--model.weights=hf:user/none@main")
    assert "cannot download model.safetensors of user/none" in said
    assert "give --model.weights hf:user/name" in fails("fit", *digits, "--model.weights=hf:name")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    said = fails("push", "--run", str(run_copy.folder), "--to=user/name")
    assert 'needs safetensors: pip install -e ".[hub]"' in said
