"""Published weights and weights files: torchvision's own API against a server on this machine; what can go wrong."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models as torchvision_models
from torch import Tensor, nn

from project import models
from project.cli.main import CLI, main
from project.run.folder import Run
from tests.conftest import QUIET
from tests.test_bad_input import Bomb

Fit = Callable[..., CLI]
Fails = Callable[..., str]
RESNET_ON_MNIST = ["--model=ResNet", "--data=MNIST", "--data.batch_size=64", "--trainer.limit_train_batches=2",
                   "--trainer.max_epochs=1"]  # fmt: skip


def randomised(network: nn.Module) -> nn.Module:
    """With norms that are not identities."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def publish(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str, dict[str, Tensor]], str]:
    """Makes torchvision's default weights of a network these, for this test."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))

    def publish(name: str, state: dict[str, Tensor], digest: str = "") -> str:
        folder, address = server
        torch.save(state, folder / "new.pth")
        digest = digest or hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
        path = (folder / "new.pth").rename(folder / f"{name}-{digest}.pth")
        weights = torchvision_models.get_model_weights(name)["DEFAULT"]
        monkeypatch.setattr(weights.value, "url", f"{address}/{path.name}")
        return f"{address}/{path.name}"

    return publish


@pytest.fixture
def resnet18(publish: Callable) -> nn.Module:
    """torchvision's ResNet-18 with random weights, which are published."""
    torch.manual_seed(3)
    network = randomised(torchvision_models.resnet18())
    publish("resnet18", network.state_dict())
    return network


@pytest.mark.needs("ResNet")
@pytest.mark.parametrize("name", ["DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_published_weights_give_the_published_logits(name: str, resnet18: nn.Module) -> None:
    model = models.ResNet(weights=name, num_classes=1000, input_shape=(3, 64, 64)).eval()
    x = torch.randn(2, 3, 64, 64)
    assert torch.allclose(model(x), resnet18(x), rtol=1e-5, atol=1e-6)


@pytest.mark.needs("GoogLeNet")
def test_googlenet_transforms_its_input_as_the_published_weights_want(publish: Callable) -> None:
    torch.manual_seed(3)
    network = randomised(torchvision_models.googlenet(aux_logits=True, init_weights=False))
    publish("googlenet", network.state_dict())
    reference = torchvision_models.googlenet(weights="DEFAULT").eval()
    x = torch.randn(2, 3, 64, 64)
    for aux_logits in (True, False):
        model = models.GoogLeNet(
            weights="DEFAULT", aux_logits=aux_logits, num_classes=1000, input_shape=(3, 64, 64)
        ).eval()
        assert torch.allclose(model(x), reference(x), rtol=1e-5, atol=1e-6)
    torch.save(network.state_dict(), "googlenet.pth")
    with pytest.raises(ValueError, match=r"need --model\.transform_input"):
        models.GoogLeNet(weights="googlenet.pth", num_classes=1000, input_shape=(3, 64, 64))
    by_file = {"weights": "googlenet.pth", "transform_input": True}
    model = models.GoogLeNet(**by_file, num_classes=1000, input_shape=(3, 64, 64)).eval()
    assert torch.allclose(model(x), reference(x), rtol=1e-5, atol=1e-6)
    plain = models.GoogLeNet(num_classes=1000, input_shape=(3, 64, 64)).eval()
    plain.load_state_dict(network.state_dict())
    assert not torch.allclose(plain(x), reference(x), rtol=1e-2)


@pytest.mark.needs("ResNet")
def test_new_head_for_other_classes(resnet18: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    model = models.ResNet(weights="DEFAULT", num_classes=10, input_shape=(3, 64, 64)).eval()
    assert "new for these classes: fc" in caplog.text
    x = torch.randn(2, 3, 64, 64)
    assert model(x).shape == (2, 10)
    model.fc, resnet18.fc = nn.Identity(), nn.Identity()
    assert torch.allclose(model(x), resnet18(x), rtol=1e-5, atol=1e-6)


@pytest.mark.needs("ResNet")
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_average_the_first_convolution(
    channels: int, resnet18: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = models.ResNet(
        weights="DEFAULT", num_classes=1000, input_shape=(channels, 64, 64)
    ).eval()
    assert f"averaged from 3 to {channels} input channels" in caplog.text
    grey = torch.randn(2, 1, 64, 64)
    expected = resnet18(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(model(grey.expand(-1, channels, -1, -1)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.needs("LeNet")
def test_a_file_may_be_a_state_dict_or_a_checkpoint(tmp_path: Path) -> None:
    source = models.LeNet(num_classes=10, input_shape=(1, 28, 28))
    state = source.state_dict()
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "best.ckpt")
    for name in ("plain.pth", "best.ckpt"):
        model = models.LeNet(weights=str(tmp_path / name), num_classes=10, input_shape=(1, 28, 28))
        assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
        other = models.LeNet(weights=str(tmp_path / name), num_classes=3, input_shape=(1, 28, 28))
        assert torch.equal(other.c1[0].weight, source.c1[0].weight)
        assert other.head.weight.shape == (3, 84)


@pytest.mark.needs("ResNet", "mnist")
@pytest.mark.slow
def test_a_run_needs_its_published_weights_only_once(
    fit: Fit, resnet18: nn.Module, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later commands take everything from the checkpoint, so that the folder can move to a machine without network."""
    run = str(
        fit(*RESNET_ON_MNIST, f"--data.root={mnist_root}", "--model.weights=DEFAULT").run.folder
    )
    monkeypatch.setenv("TORCH_HOME", "elsewhere")
    weights = torchvision_models.ResNet18_Weights.DEFAULT
    monkeypatch.setattr(weights.value, "url", "http://127.0.0.1:9/resnet18-00000000.pth")
    main(["test", "--run", run, *QUIET])
    cli = main(["fit", "--run", run, "--trainer.max_epochs=2", *QUIET])
    assert cli is not None
    assert cli.config.model.init_args.weights == "DEFAULT"


@pytest.mark.needs("ResNet", "mnist")
@pytest.mark.slow
def test_frozen_backbone_keeps_weights_and_statistics(
    fit: Fit, resnet18: nn.Module, mnist_root: Path
) -> None:
    arguments = [
        *RESNET_ON_MNIST,
        f"--data.root={mnist_root}",
        "--model.weights=DEFAULT",
        "--model.freeze_backbone=true",
    ]
    model = fit(*arguments).model
    before = models.ResNet(weights="DEFAULT", num_classes=10, input_shape=(1, 28, 28)).state_dict()
    changed = {
        name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"fc.weight", "fc.bias"}
    assert [g["params"] for g in model.configure_optimizers()["optimizer"].param_groups] == [
        [model.fc.weight],
        [model.fc.bias],
    ]


@pytest.mark.needs("ResNet", "mnist")
@pytest.mark.slow
def test_a_backbone_is_unfrozen_in_a_run_that_goes_on(
    fit: Fit, mnist_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = fit(*RESNET_ON_MNIST, f"--data.root={mnist_root}", "--model.freeze_backbone=true")
    run, before = str(cli.run.folder), cli.model.conv1.weight.clone()
    main(["fit", "--run", run, "--model.freeze_backbone=false", "--trainer.max_epochs=2", *QUIET])
    assert "starts afresh: --model.freeze_backbone has changed" in capsys.readouterr().err
    last = torch.load(cli.run.checkpoint("last"), weights_only=True)
    assert not torch.equal(last["state_dict"]["conv1.weight"], before)


@pytest.mark.needs("LeNet")
def test_freezing_goes_by_parameters_and_needs_a_head() -> None:
    class Patched(models.LeNet):
        def __init__(self, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.extra = nn.MultiheadAttention(4, 2)
            self.token = nn.Parameter(torch.zeros(3))
            self.initialize()

    model = Patched(freeze_backbone=True, num_classes=10, input_shape=(1, 28, 28))
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        "head.weight",
        "head.bias",
    }
    with pytest.raises(ValueError, match="no layer named nothing"):
        type("Headless", (models.LeNet,), {"head_names": ("nothing",)})(
            freeze_backbone=True, num_classes=10, input_shape=(1, 28, 28)
        )


@pytest.mark.needs("LeNet", "mnist")
def test_finetuning_that_cannot_work_is_refused(fails: Fails, mnist_root: Path) -> None:
    arguments = [
        "fit",
        "--model=LeNet",
        "--data=MNIST",
        f"--data.root={mnist_root}",
        "--trainer.max_epochs=1",
        *QUIET,
    ]
    said = fails(
        *arguments, "--trainer.callbacks+=BackboneFinetuning", "--model.freeze_backbone=true"
    )
    assert "BackboneFinetuning unfreezes what --model.freeze_backbone freezes" in said


def test_weights_on_a_run_are_refused(run_copy: Run, fails: Fails) -> None:
    said = fails("fit", "--run", str(run_copy.folder), "--model.weights=x.pth")
    assert "--model.weights would do nothing here (the run's checkpoint has all of them)" in said


@pytest.mark.needs("ResNet", "mnist")
@pytest.mark.slow
def test_lightnings_backbone_finetuning(fit: Fit, mnist_root: Path) -> None:
    """The backbone is frozen in the first epoch, trained from the second, and goes on so in a run that is resumed."""
    callback = [
        "--trainer.callbacks+=BackboneFinetuning",
        "--trainer.callbacks.unfreeze_backbone_at_epoch=1",
    ]
    cli = fit(*RESNET_ON_MNIST, f"--data.root={mnist_root}", *callback)
    first = cli.model
    assert not first.conv1.weight.requires_grad
    assert first.fc.weight.requires_grad
    assert len(list(first.backbone.parameters())) == len(list(first.parameters())) - 2
    kernels, groups = [], []
    for epochs in (1, 2, 3):
        cli = main(["fit", "--run", str(cli.run.folder), f"--trainer.max_epochs={epochs}", *QUIET])  # type: ignore[assignment]
        last = torch.load(cli.run.checkpoint("last"), weights_only=True)
        kernels.append(last["state_dict"]["conv1.weight"])
        groups.append(len(last["optimizer_states"][0]["param_groups"]))
    assert torch.equal(kernels[0], first.conv1.weight)
    assert not torch.equal(kernels[1], kernels[0])
    assert not torch.equal(kernels[2], kernels[1])
    assert groups == [2, 3, 3]


# ---------------------------------------------------------------- what can go wrong


@pytest.mark.needs("ResNet", "mnist")
def test_unknown_name(fails: Fails, mnist_root: Path) -> None:
    said = fails(
        "fit", *RESNET_ON_MNIST, f"--data.root={mnist_root}", "--model.weights=IMAGENET1K_V9"
    )
    assert "there are no weights IMAGENET1K_V9 of resnet18: give one of IMAGENET1K_V1" in said


@pytest.mark.needs("LeNet", "ResNet", "mnist")
def test_no_published_weights(fails: Fails, mnist_root: Path) -> None:
    on_mnist = ["--data=MNIST", f"--data.root={mnist_root}", "--model.weights=DEFAULT"]
    assert "for ResNet with the small stem" in fails(
        "fit", "--model=ResNet", "--model.stem=small", *on_mnist
    )
    assert "publishes no weights for LeNet" in fails("fit", "--model=LeNet", *on_mnist)


@pytest.mark.needs("LeNet", "ResNet", "mnist")
def test_file_of_another_architecture(fails: Fails, mnist_root: Path) -> None:
    torch.save(torchvision_models.resnet50().state_dict(), "resnet50.pth")
    said = fails(
        "fit", *RESNET_ON_MNIST, f"--data.root={mnist_root}", "--model.weights=resnet50.pth"
    )
    assert "layer1.0.conv1.weight is (64, 64, 1, 1) there and (64, 64, 3, 3) in this ResNet" in said
    said = fails(
        "fit",
        "--model=LeNet",
        "--data=MNIST",
        f"--data.root={mnist_root}",
        "--model.weights=resnet50.pth",
    )
    assert "c1.0.weight is absent there" in said


@pytest.mark.needs("ResNet", "mnist")
def test_damaged_and_unsafe_files(fails: Fails, mnist_root: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(3), "x": Bomb()}, "bomb.pth")
    Path("cut.pth").write_bytes(Path("bomb.pth").read_bytes()[:100])
    torch.save([1, 2], "list.pth")
    torch.save({"state_dict": 5}, "five.pth")
    torch.save({1: torch.zeros(2)}, "numbers.pth")
    torch.save({"conv1.weight": torch.zeros(2, 2).to_sparse()}, "sparse.pth")
    torch.save(
        {
            **models.ResNet(num_classes=10, input_shape=(1, 28, 28)).state_dict(),
            "fc.bias": torch.full((10,), torch.nan),
        },
        "nan.pth",
    )
    cases = {
        "bomb.pth": "was not loaded",
        "cut.pth": "cannot read",
        "list.pth": "no state dict",
        "five.pth": "no state dict",
        "numbers.pth": "no state dict",
        "sparse.pth": "cannot read",
        "nan.pth": "fc.bias holds NaN",
        "no.pth": "there is no weights file",
    }
    for name, said in cases.items():
        line = fails(
            "fit", *RESNET_ON_MNIST, f"--data.root={mnist_root}", f"--model.weights={name}"
        )
        assert said in line
        assert name in line
    assert not Path("canary").exists()


@pytest.mark.needs("ResNet", "mnist")
def test_download_that_fails(
    publish: Callable, fails: Fails, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["fit", *RESNET_ON_MNIST, f"--data.root={mnist_root}", "--model.weights=DEFAULT"]
    publish("resnet18", torchvision_models.resnet18().state_dict(), digest="00000000")
    assert "invalid hash value" in fails(*arguments)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / "resnet18-00000000.pth"
    cached.parent.mkdir(parents=True, exist_ok=True)
    for content in (b"", b"not weights", b"PK\x03\x04 cut"):
        cached.write_bytes(content)
        line = fails(*arguments)
        assert f"{cached} is damaged" in line
        assert "weights_only" not in line
    cached.unlink()
    weights = torchvision_models.ResNet18_Weights.DEFAULT
    monkeypatch.setattr(weights.value, "url", "http://127.0.0.1:9/resnet18-00000000.pth")
    said = fails(*arguments)
    assert "could not download" in said
    assert "give --model.weights the path" in said


@pytest.mark.needs("mnist")
@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        pytest.param("AlexNet", "63x63", marks=pytest.mark.needs("AlexNet")),
        pytest.param("VGG", "32x32", marks=pytest.mark.needs("VGG")),
        pytest.param("LeNet", "12x12", marks=pytest.mark.needs("LeNet")),
    ],
)
def test_image_smaller_than_the_network_can_take(
    model: str, minimum: str, fails: Fails, mnist_root: Path
) -> None:
    data = ["--data=Digits"] if model == "LeNet" else ["--data=MNIST", f"--data.root={mnist_root}"]
    said = fails("fit", f"--model={model}", *data)
    assert f"{model} needs images of {minimum} pixels or more" in said
    assert ("--model.stem small" in said) == (model != "LeNet")


@pytest.mark.needs("LeNet", "cifar", "mnist")
@pytest.mark.slow
def test_grayscale_into_a_checkpoint_of_colour(
    fit: Fit, fails: Fails, mnist_root: Path, cifar_root: Path
) -> None:
    fit(
        "--model=LeNet",
        "--data=CIFAR10",
        f"--data.root={cifar_root}",
        "--trainer.max_epochs=1",
        "--data.batch_size=20",
    )
    run = str(next(Path("runs").iterdir()))
    said = fails("test", "--run", run, "--data=MNIST", f"--data.root={mnist_root}", *QUIET)
    assert "c1.0.weight is (6, 3, 5, 5) in it and (6, 1, 5, 5) in this LeNet" in said
    assert "channels" in said
