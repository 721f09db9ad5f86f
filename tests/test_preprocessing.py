"""Images for published weights: evaluated as torchvision and timm evaluate them, pixel by pixel."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models as torchvision_models
import yaml
from PIL import Image

from project import load, models
from project.cli.arguments import read_arguments
from project.cli.main import CLI, main
from project.data import ImageNet
from project.data.gpu import decode_on
from project.data.resizing import crop
from tests.conftest import DATA, QUIET, slow_but

pytestmark = pytest.mark.needs("ImageNet")
Fails = Callable[..., str]
torchvision = pytest.mark.needs("torchvision_models")
PUBLISHED = [
    ("resnet50", "IMAGENET1K_V1"),
    ("resnet50", "IMAGENET1K_V2"),
    ("convnext_tiny", "IMAGENET1K_V1"),
    ("swin_t", "IMAGENET1K_V1"),
    ("efficientnet_b0", "IMAGENET1K_V1"),
    ("efficientnet_v2_s", "IMAGENET1K_V1"),
    ("efficientnet_v2_l", "IMAGENET1K_V1"),  # mean and deviation 0.5
    ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
]
FULL_SIZE = DATA / "imagenet-full-size" if DATA else None


@pytest.fixture(scope="session")
def jpegs() -> list[bytes]:
    """JPEGs of scikit-learn's two photographs: as they are, turned, and smaller than any crop."""
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    images = [Image.fromarray(china), Image.fromarray(flower).rotate(90, expand=True)]
    images.append(images[0].resize((150, 131)))
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        image.save(file, "JPEG", quality=90)
    return [file.getvalue() for file in files]


def parsed(root: Path, *arguments: str) -> CLI:
    """The parsed command line of a training on a folder, of which nothing was built."""
    return CLI(read_arguments(["fit", "--data=ImageNet", f"--data.root={root}", *arguments]))


def arguments_of(config: Any) -> dict[str, Any]:
    names = ("image_size", "resize", "interpolation", "mean", "std")
    return {name: config.data.init_args[name] for name in names}


def compare(data: ImageNet, transform: Any, files: list[bytes]) -> None:
    """That images are `transform`'s, before and after normalisation."""
    images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    expected = torch.stack([transform(image) for image in images])
    pixels = torch.stack([data.decoder()(file) for file in files])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.std))
    scaled = (expected * std + mean) * 255
    assert torch.equal(pixels, scaled.round().to(torch.uint8))
    assert float((pixels - scaled).abs().max()) < 1e-3
    normalised, _ = data.to_input(pixels, torch.zeros(len(files)))
    assert float((normalised - expected).abs().max()) < 2e-6


@torchvision
@pytest.mark.parametrize(("name", "weights"), [PUBLISHED[1], PUBLISHED[4], PUBLISHED[7]])
def test_evaluation_is_that_of_the_weights(
    name: str, weights: str, folders: Path, jpegs: list[bytes]
) -> None:
    published = torchvision_models.get_model_weights(name)[weights]
    cli = parsed(folders, "--model=Torchvision", f"--model.name={name}", f"--model.weights={weights}")  # fmt: skip
    data = ImageNet(root=str(folders), **arguments_of(cli.config))
    compare(data, published.transforms(), jpegs)


@torchvision
@pytest.mark.slow
@pytest.mark.skipif(not FULL_SIZE or not FULL_SIZE.exists(), reason="no folder of photographs")
@pytest.mark.parametrize(("name", "weights"), PUBLISHED)
def test_evaluation_of_fifty_photographs(name: str, weights: str, folders: Path) -> None:
    assert FULL_SIZE is not None
    files = [path.read_bytes() for path in sorted(FULL_SIZE.rglob("*.*"))[:50]]
    assert len(files) == 50
    test_evaluation_is_that_of_the_weights(name, weights, folders, files)


@pytest.mark.needs("timm_models")
@pytest.mark.parametrize("name", slow_but(["resnet50.a1_in1k"], ["vit_small_patch16_224", "resnet50.a1_in1k", "vit_tiny_patch16_384"]))  # fmt: skip
def test_evaluation_is_timms(name: str, folders: Path, jpegs: list[bytes]) -> None:
    from timm import get_pretrained_cfg
    from timm.data import create_transform, resolve_data_config

    cli = parsed(folders, "--model=Timm", f"--model.name={name}", "--model.weights=DEFAULT")
    data = ImageNet(root=str(folders), **arguments_of(cli.config))
    config = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
    compare(data, create_transform(**config, is_training=False), jpegs)


@pytest.mark.needs("timm_models")
def test_weights_that_see_squashed_images_are_refused(fails: Fails, folders: Path) -> None:
    name = "convnext_small.fb_in22k_ft_in1k_384"
    arguments = ["--model=Timm", f"--model.name={name}", "--model.weights=DEFAULT"]
    said = fails("fit", "--data=ImageNet", f"--data.root={folders}", *arguments)
    assert "see whole images, squashed or padded" in said
    found = arguments_of(parsed(folders, *arguments, "--data.resize=400").config)
    assert (found["image_size"], found["resize"]) == (384, 400)


@pytest.mark.needs("ResNet")
def test_flags_win_and_other_weights_change_nothing(folders: Path, tmp_path: Path) -> None:
    def found(*arguments: str) -> tuple[Any, ...]:
        return tuple(arguments_of(parsed(folders, "--model=ResNet", *arguments).config).values())

    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    deep = ["--model.depth=50", "--model.weights=DEFAULT"]
    assert found(*deep) == (224, 232, "bilinear", *imagenet)
    assert found(*deep, "--data.image_size=448") == (448, 464, "bilinear", *imagenet)
    assert found(*deep, "--data.resize=300") == (224, 300, "bilinear", *imagenet)
    grey = ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    flags = ["--data.interpolation=bicubic", f"--data.mean={[*grey[0]]}", f"--data.std={[*grey[1]]}"]  # fmt: skip
    assert found(*deep, *flags) == (224, 232, "bicubic", *grey)
    torch.save({}, tmp_path / "file.pth")
    assert found() == found(f"--model.weights={tmp_path / 'file.pth'}") == (None,) * 5
    default = ImageNet(root=str(folders))
    assert (default.crops.short_side, default.crops.interpolation) == (256, "bilinear")
    assert (tuple(default.mean), tuple(default.std)) == imagenet


@torchvision
@pytest.mark.slow
def test_a_run_keeps_what_its_weights_expected(
    fit: Callable[..., CLI], folders: Path, monkeypatch: pytest.MonkeyPatch, jpegs: list[bytes]
) -> None:
    """Later commands find it in config.yaml, and need neither the weights nor their metadata."""
    name, kind = "efficientnet_b0", torchvision_models.EfficientNet_B0_Weights
    state = torchvision_models.get_model(name).state_dict()
    monkeypatch.setattr(kind, "get_state_dict", lambda self, **options: state)
    cli = fit("--model=Torchvision", f"--model.name={name}", "--model.weights=DEFAULT",
              "--data=ImageNet", f"--data.root={folders}", "--data.image_size=56",
              "--data.batch_size=8", "--trainer.max_epochs=1")  # fmt: skip
    run = cli.run.folder
    kept = yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]
    assert (kept["image_size"], kept["resize"], kept["interpolation"]) == (56, 64, "bicubic")
    assert (kept["mean"], kept["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    monkeypatch.delattr(kind, "get_state_dict")
    tested = main(["test", "--run", str(run), *QUIET])
    assert tested is not None
    assert tested.datamodule.crops.short_side == 64
    data = load(run).data
    image = Image.open(io.BytesIO(jpegs[0]))
    expected = image.resize((round(64 * 640 / 427 - 0.5), 64), Image.Resampling.BICUBIC)
    left = round((expected.width - 56) / 2)
    pixels = np.array(expected)[4:60, left : left + 56]
    assert torch.equal(data.decoder()(jpegs[0]), torch.from_numpy(pixels).permute(2, 0, 1))


def test_training_crops_are_interpolated_as_evaluation_is(
    folders: Path, jpegs: list[bytes]
) -> None:
    """Against resizing in float; on the device too, and where a JPEG is decoded at half its size."""
    with Image.open(io.BytesIO(jpegs[0])) as file:
        pixels = torch.from_numpy(np.array(file)).permute(2, 0, 1)[None].float()
    for box, side in (((120, 5, 300, 420), 64), ((150, 250, 90, 90), 64)):
        top, left, height, width = box
        part = pixels[..., top : top + height, left : left + width]
        slow = torch.nn.functional.interpolate(part, (side, side), mode="bicubic", antialias=True)
        ours = crop(jpegs[0], lambda h, w: box, side, "bicubic").float()  # noqa: B023
        plain = crop(jpegs[0], lambda h, w: box, side).float()  # noqa: B023
        right, wrong = (float((x - slow[0].clamp(0, 255)).abs().mean()) for x in (ours, plain))
        assert right < 1.2
        assert wrong > 2 * right
    rows = torch.tensor([[i, 5 * i, 24] for i in range(6)])
    workers, device = (
        ImageNet(root=str(folders), image_size=24, interpolation="bicubic", decode_on_gpu=later)
        for later in (False, True)
    )
    x, _ = workers.load(train=True).__getitems__(rows)
    samples, _ = device.load(train=True).__getitems__(rows)
    assert float((x.float() - decode_on(torch.device("cpu"), samples).float()).abs().mean()) < 1.2


@pytest.mark.needs("ResNet", "prepare")
def test_a_cache_does_not_give_another_size_unsaid(
    fails: Fails, folders: Path, fit: Callable[..., CLI], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model=ResNet", "--data=ImageNet", f"--data.root={folders}"]
    deep = [*arguments, "--model.depth=50", "--model.weights=IMAGENET1K_V2", "--data.cache=224"]
    said = fails("prepare", *deep)
    assert "--data.cache 224 is less than the short side of 232 pixels" in said
    assert "--data.resize 200 is less than the 224 pixels of --data.image_size" in fails(
        "fit", *arguments, "--data.resize=200"
    )
    list(ImageNet(root=str(folders), cache=40).prepare_cache())
    ImageNet(root=str(folders), cache=40, image_size=32).setup("test")
    assert "the exact pixels" not in capsys.readouterr().err
    data = ImageNet(root=str(folders), cache=40, image_size=32, resize=40)
    with pytest.MonkeyPatch.context() as patch:
        said_lines: list[str] = []
        patch.setattr("project.data.cached_files.log.info", said_lines.append)
        data.setup("test")
    assert "for the exact pixels evaluate with --data.cache null" in said_lines[0]


@pytest.mark.needs("ResNet")
def test_own_networks_know_their_weights() -> None:
    arguments = {"depth": 50, "weights": "ResNet50_Weights.IMAGENET1K_V2"}
    assert models.ResNet.preprocessing(arguments)["resize"] == 232
    assert models.MLP.preprocessing({"weights": "DEFAULT"}) == {}
