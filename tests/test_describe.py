"""``describe`` against torchvision's published figures, and without data."""

import math
from pathlib import Path

import pytest
import torch
import torchvision.models as torchvision_models
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from project import models
from project.cli.main import main
from project.commands.describe import layers
from project.models import Architecture
from tests.conftest import existing, slow_but
from tests.test_networks import IMAGENET, PUBLISHED, QUICK

pytestmark = pytest.mark.needs("describe")


@pytest.mark.parametrize(
    "name", slow_but(QUICK, [name for name in existing(PUBLISHED) if name != "GoogLeNet-aux"])
)
def test_macs_are_torchvisions(name: str) -> None:
    """torchvision publishes parameters, and multiply-adds in units of 10**9 with three decimals."""
    ours, theirs, _, count = PUBLISHED[name]
    weights = torchvision_models.get_model_weights(theirs)["DEFAULT"]
    meta, (pixels,) = weights.meta, weights.transforms().crop_size
    with torch.device("meta"):
        total = layers(ours(**{**IMAGENET, "input_shape": (3, pixels, pixels)}))[-1]
    assert total.parameters == count == meta["num_params"]
    assert total.macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)


@pytest.mark.needs("AlexNet", "VGG", "ResNet")
@pytest.mark.parametrize("name", ["AlexNet", "VGG16-bn", "ResNet18"])
def test_macs_of_each_layer_by_hand(name: str) -> None:
    """Each weight of a kernel is used once for each position of its output, of a matrix once."""
    with torch.device("meta"):
        model = PUBLISHED[name][0](**IMAGENET)
    table = layers(model, depth=3)
    by_hand = 0
    for row in table[:-1]:
        part = model.get_submodule(row.name)
        if isinstance(part, nn.Conv2d | nn.Linear):
            assert row.shape is not None
            assert row.macs == part.weight.numel() * math.prod(row.shape[1:]), row.name
            by_hand += row.macs
    projections = {"ResNet18": 3 * 6_422_528}.get(name, 0)  # the 1x1 shortcuts lie one level deeper
    assert table[-1].macs == by_hand + projections


def test_networks_with_unusual_layers_are_described() -> None:
    class Rows(Architecture):
        def __init__(self, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.rows = nn.LSTM(self.input_shape[2], 16, batch_first=True)
            self.head = nn.Linear(16, self.num_classes)
            self.initialize()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rows(x.mean(1))[0][:, -1])

    rows = layers(Rows(num_classes=10, input_shape=(1, 8, 8)))
    assert [(row.name, row.shape) for row in rows] == [
        ("rows", ()),
        ("head", (10,)),
        ("Rows", (10,)),
    ]


@pytest.mark.needs("ViT")
@pytest.mark.parametrize("trained", [True, False])
def test_attention_is_counted_on_the_cpu_too(trained: bool) -> None:
    """In evaluation and in training it is other operations; by hand, for 17 tokens of 192 numbers."""
    model = models.ViT(size="tiny", patch=8, num_classes=10, input_shape=(3, 32, 32))
    weights = sum(p.numel() for p in model.encoder.parameters() if p.ndim == 2)
    by_hand = 17 * weights + 12 * 2 * 17 * 17 * 192 + 16 * 3 * 8 * 8 * 192 + 10 * 192
    with FlopCounterMode(display=False) as counter:
        model.train(trained)(torch.zeros(1, 3, 32, 32))
    assert counter.get_total_flops() == 2 * by_hand
    assert layers(model)[-1].macs == by_hand


@pytest.mark.needs("ResNet", "ImageNet")
def test_classes_of_a_folder_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", ".hidden"):
        (tmp_path / "train" / name).mkdir(parents=True)
    main(
        [
            "describe",
            "--model=ResNet",
            "--data=ImageNet",
            f"--data.root={tmp_path}",
            "--data.image_size=64",
        ]
    )
    assert "ResNet on 3x64x64 images, 2 classes" in capsys.readouterr().out


@pytest.mark.needs("LeNet")
def test_rows_are_the_papers_feature_maps() -> None:
    """LeCun et al., 1998, section II.B: C1 6x28x28, S2 6x14x14, C3 16x10x10, S4 16x5x5, F6 84."""
    with torch.device("meta"):
        rows = {
            row.name: row for row in layers(models.LeNet(num_classes=10, input_shape=(1, 28, 28)))
        }
    shapes = {name: rows[name].shape for name in ("c1.0", "c1", "c3.0", "c3", "f6")}
    assert shapes == {
        "c1.0": (6, 28, 28),
        "c1": (6, 14, 14),
        "c3.0": (16, 10, 10),
        "c3": (16, 5, 5),
        "f6": (84,),
    }
    assert (rows["c1"].parameters, rows["c1"].macs) == (156, 6 * 28 * 28 * 25)
    assert rows["LeNet"].macs == sum(row.macs for row in rows.values() if "." in row.name) + 840


@pytest.mark.needs("ResNet")
def test_input_shape_and_classes_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "--model=ResNet", "--model.depth=50"])
    assert "ResNet on 3x224x224 images, 1000 classes" in capsys.readouterr().out
    main(
        [
            "describe",
            "--model=ResNet",
            "--input_shape=[4,64,48]",
            "--num_classes=7",
            "--model.weights=DEFAULT",
        ]
    )
    out = capsys.readouterr().out
    assert "ResNet on 4x64x48 images, 7 classes" in out
    assert "64x32x24" in out
