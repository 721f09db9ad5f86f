"""`--explain cam`: the maps against weights x maps, the layer that is chosen, and the files."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import project.models
from project import plots
from project.cli.main import CLI, main
from project.models.grad_cam import grad_cam, last_maps
from tests.conftest import QUIET, existing

pytest.importorskip("captum")
LAYERS = {
    "AlexNet": ("features.11", {"stem": "imagenet"}),
    "VGG": ("features.29", {"depth": 16}),
    "GoogLeNet": ("inception5b", {"aux_logits": False}),
    "ResNet": ("layer4", {}),
    "Airbench": ("blocks", {"widths": [8, 8, 8]}),
}


@pytest.mark.needs("ResNet")
@pytest.mark.parametrize("stem", ["small", pytest.param("imagenet", marks=pytest.mark.slow)])
def test_of_a_pooled_network_it_is_weights_times_maps(stem: str) -> None:
    """Zhou et al. (2016): the logit is the mean over positions of the weighted maps."""
    torch.manual_seed(0)
    model = project.models.ResNet(num_classes=7, input_shape=(3, 64, 64), stem=stem).eval()
    x, classes = torch.randn(3, 3, 64, 64), torch.tensor([0, 6, 3])
    found = grad_cam(model, x, classes)
    with torch.no_grad():
        maps = model.layer1(model.maxpool(model.act(model.bn1(model.conv1(x)))))
        maps = model.layer4(model.layer3(model.layer2(maps)))
        weighted = torch.einsum("nc,nchw->nhw", model.fc.weight[classes], maps)
        logits = model(x)[range(3), classes]
    assert torch.allclose(weighted.mean((1, 2)) + model.fc.bias[classes], logits, atol=1e-4)
    assert (weighted < 0).any()
    positions = maps.shape[2] * maps.shape[3]
    assert torch.allclose(found[:, 0], weighted.relu() / positions, atol=1e-6)
    assert not model.training
    with torch.inference_mode():  # as in a Trainer's loop, after training with a frozen backbone
        model.requires_grad_(False)
        assert torch.equal(grad_cam(model, x + 0, classes + 0, "layer4"), found)


@pytest.mark.parametrize("name", existing(LAYERS))
@pytest.mark.slow
def test_layers(name: str) -> None:
    layer, arguments = LAYERS[name]
    kind = getattr(project.models, name)
    model = kind(num_classes=4, input_shape=(3, 96, 96), **arguments).eval()
    assert last_maps(model, torch.randn(1, 3, 96, 96)) == layer


class Tokens(nn.Module):
    """Patches and tokens, as in a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mlp, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.mlp(self.patches(x).flatten(2).mT)
        return self.head(tokens.mean(1))


def test_networks_without_maps() -> None:
    x = torch.randn(2, 3, 8, 8)
    for model in (Tokens(), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))):
        with pytest.raises(ValueError, match="is for networks whose last layers see maps"):
            grad_cam(model, x, torch.zeros(2).long())
    assert grad_cam(Tokens(), x, torch.zeros(2).long(), "patches").shape == (2, 1, 2, 2)
    with pytest.raises(ValueError, match="has no such layer"):
        grad_cam(Tokens(), x, torch.zeros(2).long(), "conv9")
    with pytest.raises(ValueError, match="and no maps"):
        grad_cam(Tokens(), x, torch.zeros(2).long(), "head")


def test_overlay_is_the_image_where_nothing_speaks() -> None:
    images, maps = torch.rand(2, 1, 8, 8), torch.zeros(2, 1, 4, 4)
    maps[0, 0, 0, 0] = 5.0
    drawn = plots.overlaid(images, maps)
    assert drawn.shape == (2, 3, 224, 224)
    large = F.interpolate(images, (224, 224)).expand(-1, 3, -1, -1)
    assert torch.equal(drawn[1], large[1])
    assert torch.equal(drawn[0, :, 112:], large[0, :, 112:])
    red = torch.tensor([0.4796, 0.0158, 0.0106])  # the last colour of turbo
    assert torch.allclose(drawn[0, :, 0, 0], 0.4 * large[0, :, 0, 0] + 0.6 * red, atol=1e-3)


@pytest.mark.needs("LeNet", "mnist")
def test_predictions_and_mistakes_are_explained(
    fit: Callable[..., CLI],
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    mnist_root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3"]
    run = fit("--model=LeNet", "--data=MNIST", f"--data.root={mnist_root}", *small).run
    folder = Path("images")
    for name in ("a/7.png", "b/7.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    predict = ["predict", "--run", str(run.folder), "--images", "images", *QUIET]
    assert "no such layer" in fails(*predict, "--explain=cam", "--explain_layer=x")
    assert "--explain_layer would do nothing" in fails(*predict, "--explain_layer=conv1")
    main([*predict, "--explain=cam"])
    drawn = sorted((run.figures / "cam").iterdir())
    assert [path.name for path in drawn] == ["00000_7.png", "00001_7.png"]
    with Image.open(drawn[0]) as image:
        assert (image.size, image.mode) == ((224, 224), "RGB")
    assert (run.figures / "cam.png").exists()
    main(["validate", "--run", str(run.folder), "--explain=cam", *QUIET])
    assert (run.figures / "cam_mistakes_val.png").exists()

    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setattr("project.models.grad_cam.find_spec", lambda name: None)
    for command in (predict, ["test", "--run", str(run.folder), *QUIET]):
        assert 'pip install -e ".[explain]"' in fails(*command, "--explain=cam")
