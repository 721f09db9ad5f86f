"""The networks that torchvision has too, against the published counts and torchvision's own."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.models as torchvision_models
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torchvision.ops import StochasticDepth

import project
from project import models
from project.callbacks.filter_plots import feature_maps, first_filters
from project.cli.machine import why_not_compiled
from project.cli.main import CLI
from project.models import MLP, Architecture
from project.plots.layers import tiled
from tests.conftest import DATA, existing, slow_but

IMAGENET = {"num_classes": 1000, "input_shape": (3, 224, 224)}

# Ours, torchvision's name, options of torchvision's, and the published number of parameters.
PUBLISHED: dict[str, tuple[Callable[..., Architecture], str, dict, int]] = {
    "AlexNet": (lambda **k: models.AlexNet(**k), "alexnet", {}, 61_100_840),
    "VGG11": (lambda **k: models.VGG(depth=11, **k), "vgg11", {}, 132_863_336),
    "VGG13": (lambda **k: models.VGG(depth=13, **k), "vgg13", {}, 133_047_848),
    "VGG16": (lambda **k: models.VGG(depth=16, **k), "vgg16", {}, 138_357_544),
    "VGG16-bn": (
        lambda **k: models.VGG(depth=16, batch_norm=True, **k),
        "vgg16_bn",
        {},
        138_365_992,
    ),
    "VGG19-bn": (
        lambda **k: models.VGG(depth=19, batch_norm=True, **k),
        "vgg19_bn",
        {},
        143_678_248,
    ),
    "GoogLeNet": (
        lambda **k: models.GoogLeNet(aux_logits=False, **k),
        "googlenet",
        {"aux_logits": False, "init_weights": False},
        6_624_904,
    ),
    "GoogLeNet-aux": (
        lambda **k: models.GoogLeNet(**k),
        "googlenet",
        {"aux_logits": True, "init_weights": False},
        13_004_888,
    ),
    "ResNet18": (lambda **k: models.ResNet(depth=18, **k), "resnet18", {}, 11_689_512),
    "ResNet34": (lambda **k: models.ResNet(depth=34, **k), "resnet34", {}, 21_797_672),
    "ResNet50": (lambda **k: models.ResNet(depth=50, **k), "resnet50", {}, 25_557_032),
    "ResNet101": (lambda **k: models.ResNet(depth=101, **k), "resnet101", {}, 44_549_160),
    "ResNet152": (lambda **k: models.ResNet(depth=152, **k), "resnet152", {}, 60_192_808),
    "ViT-B16": (lambda **k: models.ViT(size="base", **k), "vit_b_16", {}, 86_567_656),
    "ViT-B32": (lambda **k: models.ViT(size="base", patch=32, **k), "vit_b_32", {}, 88_224_232),
    "ConvNeXt-tiny": (lambda **k: models.ConvNeXt(**k), "convnext_tiny", {}, 28_589_128),
    "ConvNeXt-small": (
        lambda **k: models.ConvNeXt(size="small", **k),
        "convnext_small",
        {},
        50_223_688,
    ),
    "EfficientNet-b0": (lambda **k: models.EfficientNet(**k), "efficientnet_b0", {}, 5_288_548),
    "EfficientNet-v2s": (
        lambda **k: models.EfficientNet(variant="v2_s", **k),
        "efficientnet_v2_s",
        {},
        21_458_488,
    ),
    "MobileNetV3-large": (lambda **k: models.MobileNetV3(**k), "mobilenet_v3_large", {}, 5_483_032),
    "MobileNetV3-small": (
        lambda **k: models.MobileNetV3(size="small", **k),
        "mobilenet_v3_small",
        {},
        2_542_856,
    ),
}

QUICK = ("AlexNet", "GoogLeNet", "GoogLeNet-aux", "ResNet18", "ResNet50", "MobileNetV3-small")


def pair(name: str) -> tuple[Architecture, nn.Module]:
    """Our network with the weights of torchvision's, which are random, and torchvision's."""
    torch.manual_seed(0)
    ours, theirs, options, _ = PUBLISHED[name]
    reference = torchvision_models.get_model(theirs, **options)
    fill_zeros(reference)
    for layer in reference.modules():  # or the norms would be identities
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    model = ours(**IMAGENET)
    model.load_state_dict(reference.state_dict(), strict=True)
    return model, reference


def fill_zeros(network: nn.Module) -> None:
    """Give parameters that hide others, such as a head of zeros and scales of 1e-6, other values."""
    with torch.no_grad():
        for parameter in network.parameters():
            if float(parameter.abs().max()) < 1e-5:
                parameter.normal_(std=0.5)


@pytest.mark.parametrize("name", existing(PUBLISHED))
def test_published_counts(name: str) -> None:
    ours, _, _, count = PUBLISHED[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in ours(**IMAGENET).parameters()) == count


@pytest.mark.parametrize("name", slow_but(QUICK, existing(PUBLISHED)))
def test_logits_are_torchvisions_and_weights_go_both_ways(name: str) -> None:
    model, reference = pair(name)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        logits, expected = model.eval()(x), reference.eval()(x)
    assert relative(logits, expected) < 1e-5
    fresh = torchvision_models.get_model(PUBLISHED[name][1], **PUBLISHED[name][2])
    fresh.load_state_dict(model.state_dict(), strict=True)
    expected_state = reference.state_dict()
    assert all(
        torch.equal(tensor, expected_state[key]) for key, tensor in fresh.state_dict().items()
    )


@pytest.mark.parametrize(
    "name",
    slow_but(
        QUICK,
        [
            name
            for name in existing(PUBLISHED)
            if name not in ("VGG13", "VGG16", "VGG19-bn", "ViT-B16", "ConvNeXt-small")
        ],
    ),
)
def test_gradients_are_torchvisions(name: str) -> None:
    """In train mode, with batch statistics and auxiliary heads; dropout off, or they would differ by chance."""
    model, reference = pair(name)
    for network in (model, reference):
        network.train()
        for layer in network.modules():
            if isinstance(layer, nn.Dropout | StochasticDepth):
                layer.p = 0.0
    pixels = 224 if name == "ViT-B32" else 64
    x, y = torch.randn(4, 3, pixels, pixels), torch.randint(1000, (4,))
    loss, logits = model.loss(x, y)
    loss.backward()
    out = reference(x)
    expected_loss = nn.functional.cross_entropy(out[0] if isinstance(out, tuple) else out, y)
    if isinstance(out, tuple):  # the paper's section 5 adds each auxiliary loss with weight 0.3
        expected_loss = expected_loss + 0.3 * sum(
            nn.functional.cross_entropy(aux, y) for aux in out[1:]
        )
    expected_loss.backward()
    assert logits.shape == (4, 1000)
    assert relative(loss, expected_loss) < 1e-5
    gradients = dict(reference.named_parameters())
    for parameter_name, parameter in model.named_parameters():
        assert relative(parameter.grad, gradients[parameter_name].grad) < 1e-4, parameter_name
    buffers = dict(reference.named_buffers())
    for buffer_name in (n for n, _ in model.named_buffers() if n in buffers):
        assert torch.allclose(model.get_buffer(buffer_name), buffers[buffer_name], rtol=1e-5), (
            buffer_name
        )


NEWER = [name for name in PUBLISHED if name.startswith(("ViT", "Conv", "Eff", "Mob"))]


@pytest.mark.parametrize("name", slow_but(["MobileNetV3-small"], existing(NEWER)))
def test_weights_and_stochastic_depth_start_as_torchvisions(name: str) -> None:
    ours, theirs, options, _ = PUBLISHED[name]
    model, reference = ours(**IMAGENET), torchvision_models.get_model(theirs, **options)
    if not name.startswith(("ViT", "Mobile")):  # whose reference has none
        rates, expected_rates = (
            [layer.p for layer in network.modules() if isinstance(layer, StochasticDepth)]
            for network in (model, reference)
        )
        assert any(rates)
        assert rates == pytest.approx(expected_rates)
    expected = dict(reference.named_parameters())
    for parameter_name, parameter in model.named_parameters():
        values, others = parameter.detach(), expected[parameter_name].detach()
        if values.numel() < 1000 and values.std() > 0:
            continue  # too few to compare by chance
        assert float(values.std()) == pytest.approx(float(others.std()), rel=0.15), parameter_name
        assert float(values.mean()) == pytest.approx(
            float(others.mean()), abs=0.2 * float(others.std()) + 1e-8
        )


@pytest.mark.needs("ViT")
@pytest.mark.slow
def test_vit_small_equals_timms() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.create_model("vit_small_patch16_224").eval()
    renamed = {
        "cls_token": "class_token",
        "pos_embed": "encoder.pos_embedding",
        "patch_embed.proj": "conv_proj",
        "norm.": "encoder.ln.",
        "head.": "heads.head.",
        "blocks.": "encoder.layers.encoder_layer_",
    }
    inside = {
        ".norm1.": ".ln_1.",
        ".norm2.": ".ln_2.",
        ".attn.qkv.": ".self_attention.in_proj_",
        ".attn.proj.": ".self_attention.out_proj.",
        ".mlp.fc1.": ".mlp.0.",
        ".mlp.fc2.": ".mlp.3.",
    }
    model = models.ViT(**IMAGENET).eval()
    state = mapped(reference, renamed, inside)
    model.load_state_dict(state, strict=True)
    assert sum(p.numel() for p in model.parameters()) == 22_050_664
    assert_same_logits(model, reference)


@pytest.mark.needs("ResNet")
@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_d_equals_timms(depth: int) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.create_model(f"resnet{depth}d").eval()
    model = models.ResNet(depth=depth, stem="deep", **IMAGENET).eval()
    model.load_state_dict(reference.state_dict(), strict=True)
    counts = [sum(p.numel() for p in network.parameters()) for network in (model, reference)]
    assert counts == [{18: 11_708_744, 50: 25_576_264}[depth]] * 2
    assert_same_logits(model, reference)


@pytest.mark.needs("ConvNeXt")
@pytest.mark.slow
def test_convnext_atto_equals_timms() -> None:
    """timm's MLPs are 1x1 convolutions, and its scales have one dimension; the numbers are the same."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.create_model("convnext_atto").eval()
    renamed = {"stem.": "features.0.", "head.norm.": "classifier.0.", "head.fc.": "classifier.2."}
    for i in range(4):
        renamed[f"stages.{i}.downsample."] = f"features.{2 * i}."
        renamed[f"stages.{i}.blocks."] = f"features.{2 * i + 1}."
    inside = {
        ".conv_dw.": ".block.0.",
        ".norm.": ".block.2.",
        ".mlp.fc1.": ".block.3.",
        ".mlp.fc2.": ".block.5.",
        ".gamma": ".layer_scale",
    }
    model = models.ConvNeXt(size="atto", **IMAGENET).eval()
    needed = model.state_dict()
    state = mapped(reference, renamed, inside)
    model.load_state_dict({k: t.view_as(needed[k]) for k, t in state.items()}, strict=True)
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in reference.parameters()
    )
    assert_same_logits(model, reference)


def mapped(network: nn.Module, starts: dict[str, str], inside: dict[str, str]) -> dict[str, Tensor]:
    """The state dict of a network of timm's, by the names of torchvision's."""
    fill_zeros(network)
    state = {}
    for name, tensor in network.state_dict().items():
        old = next(start for start in starts if name.startswith(start))
        name = starts[old] + name.removeprefix(old)
        if "layer_" in name or name.count(".") > 3 or "gamma" in name:
            for part, new in inside.items():
                name = name.replace(part, new)
        state[name] = tensor
    return state


def assert_same_logits(model: nn.Module, reference: nn.Module) -> None:
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert relative(model(x), reference(x)) < 1e-5


def relative(a: Tensor | None, b: Tensor | None) -> float:
    assert a is not None
    assert b is not None
    return float((a - b).detach().norm() / b.detach().norm().clamp(min=1e-12))


SMALL: dict[str, Callable[..., Architecture]] = {
    "AlexNet": lambda **k: models.AlexNet(stem="small", **k),
    "AlexNet-bn": lambda **k: models.AlexNet(stem="small", batch_norm=True, **k),
    "VGG11": lambda **k: models.VGG(stem="small", depth=11, **k),
    "VGG16-bn": lambda **k: models.VGG(stem="small", depth=16, batch_norm=True, **k),
    "GoogLeNet": lambda **k: models.GoogLeNet(stem="small", **k),
    "ResNet18": lambda **k: models.ResNet(stem="small", depth=18, **k),
    "ResNet50": lambda **k: models.ResNet(stem="small", depth=50, **k),
    "ViT-tiny": lambda **k: models.ViT(size="tiny", patch=4, **k),
    "ConvNeXt-atto": lambda **k: models.ConvNeXt(stem="small", size="atto", **k),
    "EfficientNet-b0": lambda **k: models.EfficientNet(stem="small", drop_path=0.0, **k),
    "MobileNetV3-small": lambda **k: models.MobileNetV3(stem="small", size="small", **k),
}


@pytest.fixture(scope="module")
def batch(photographs: np.ndarray) -> tuple[Tensor, Tensor]:
    """16 normalised images and classes of CIFAR-10 if its real files are there, else of `photographs`."""
    busiest = (
        photographs.reshape(len(photographs), -1).std(1).argsort()[-16:]
    )  # pieces of sky are all alike
    x, y = torch.from_numpy(photographs[busiest]), torch.arange(16) % 10
    if DATA and (DATA / "cifar-10-batches-py").exists():
        content = pickle.loads(
            (DATA / "cifar-10-batches-py" / "data_batch_1").read_bytes(), encoding="latin1"
        )
        x, y = (
            torch.from_numpy(content["data"][:16]).view(16, 3, 32, 32),
            torch.tensor(content["labels"][:16]),
        )
    x = x.float()
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True), y


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "shape",
    [pytest.param((1, 28, 28), marks=pytest.mark.slow), (3, 32, 32)],
    ids=["28x28x1", "32x32x3"],
)
@pytest.mark.parametrize(
    "name",
    slow_but(
        ["AlexNet-bn", "ResNet18"],
        existing(
            [
                "AlexNet",
                "AlexNet-bn",
                "VGG16-bn",
                "GoogLeNet",
                "ResNet18",
                "ConvNeXt-atto",
                "EfficientNet-b0",
                "MobileNetV3-small",
            ]
        ),
    ),
)
def test_small_stem_overfits_one_batch(
    name: str, shape: tuple[int, int, int], batch: tuple[Tensor, Tensor]
) -> None:
    slow = name.partition("-")[0] in ("GoogLeNet", "ConvNeXt", "EfficientNet", "MobileNetV3")
    if slow and shape[0] == 1 and not DATA:
        pytest.skip(
            "takes a minute, and differs from 32x32x3 in the first kernels: set PROJECT_DATA"
        )
    torch.manual_seed(0)
    x, y = batch
    x = (x if shape[0] == 3 else x.mean(1, keepdim=True))[..., : shape[1], : shape[2]]
    model = SMALL[name](num_classes=10, input_shape=shape, dropout=0.0, channels_last=True).train()
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    for step in range(200):
        loss, logits = model.loss(x, y)
        loss.backward()
        if step == 1:  # a head of zeros gives no gradient to what is before it
            for parameter_name, parameter in model.named_parameters():
                assert parameter.grad is not None, parameter_name
                assert parameter.grad.abs().sum() > 0, parameter_name
        optimizer.step()
        optimizer.zero_grad()
        objective = float(model.objective.criterion(logits.detach(), y))
        if objective < 0.05:
            break
    assert objective < 0.05


@pytest.mark.parametrize("pixels", slow_but([28, 64], [28, 32, 48, 64]))
@pytest.mark.parametrize("name", existing(SMALL))
def test_small_stem_takes_28_to_64_pixels(name: str, pixels: int) -> None:
    model = SMALL[name](num_classes=7, input_shape=(4, pixels, pixels)).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 4, pixels, pixels)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "stem", "minimum"),
    [
        pytest.param(*values, marks=pytest.mark.needs(values[0]))
        for values in [
            ("AlexNet", "imagenet", 63),
            ("AlexNet", "small", 15),
            ("VGG", "imagenet", 32),
            ("GoogLeNet", "imagenet", 15),
            ("ConvNeXt", "imagenet", 32),
            ("ConvNeXt", "small", 16),
        ]
    ],
)
def test_smallest_image(name: str, stem: str, minimum: int) -> None:
    kind = getattr(models, name)
    model = kind(stem=stem, num_classes=3, input_shape=(3, minimum, minimum))
    x = torch.randn(2, 3, minimum, minimum)
    model.loss(x, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=f"{minimum}x{minimum} pixels or more"):
        kind(stem=stem, num_classes=3, input_shape=(3, minimum - 1, minimum))


@pytest.mark.needs("VGG")
def test_synchronised_batch_norm_reaches_every_layer() -> None:
    """Layers that are replaced, as Lightning's sync_batchnorm does, must be those that are called."""
    model = models.VGG(
        depth=11, stem="small", batch_norm=True, num_classes=3, input_shape=(3, 32, 32)
    )
    replaced = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    called: list[str] = []
    for layer in replaced.modules():
        if isinstance(layer, nn.SyncBatchNorm):
            layer.register_forward_hook(lambda *_: called.append("sync"))
    replaced.eval()(torch.randn(2, 3, 32, 32))
    assert len(called) == 8


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("name", existing(["AlexNet", "VGG", "GoogLeNet", "ResNet"]))
def test_activation_and_pool_are_what_is_named(name: str, pool: str, activation: str) -> None:
    with torch.device("meta"):
        model = getattr(models, name)(activation=activation, pool=pool, **IMAGENET)
    kinds = {type(layer) for layer in model.modules()}
    assert kinds & {nn.ReLU, nn.Tanh, nn.Sigmoid} == {
        {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]
    }
    assert kinds & {nn.MaxPool2d, nn.AvgPool2d} == {
        {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[pool]
    }


@pytest.mark.needs("ResNet")
def test_zero_init_residual_makes_blocks_the_identity() -> None:
    x = torch.rand(2, 64, 8, 8)
    for depth in (18, 50):
        block = models.ResNet(depth=depth, zero_init_residual=True, **IMAGENET).layer1[1]
        features = x if depth == 18 else x.repeat(1, 4, 1, 1)
        assert torch.equal(block(features), features)
        block = models.ResNet(depth=depth, **IMAGENET).layer1[1]
        assert not torch.equal(block(features), features)


@pytest.mark.parametrize(
    "name",
    slow_but(
        ["VGG16-bn", "MobileNetV3-small"],
        existing(
            [
                "VGG16-bn",
                "GoogLeNet",
                "ResNet50",
                "ViT-tiny",
                "ConvNeXt-atto",
                "EfficientNet-b0",
                "MobileNetV3-small",
            ]
        ),
    ),
)
def test_activation_checkpointing_changes_no_number(name: str) -> None:
    x, y = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    results = []
    for flag in (False, True):
        torch.manual_seed(0)
        model = SMALL[name](
            num_classes=10, input_shape=(3, 32, 32), activation_checkpointing=flag
        ).train()
        fill_zeros(model)
        loss, _ = model.loss(x, y)
        loss.backward()
        results.append(([p.grad for p in model.parameters()], dict(model.named_buffers())))
    (plain, buffers), (again, buffers_again) = results
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    for buffer_name, buffer in buffers.items():
        assert torch.equal(buffer, buffers_again[buffer_name]), buffer_name


@pytest.mark.needs("ResNet")
def test_activation_checkpointing_stores_less() -> None:
    """Counted as bytes that autograd keeps for backward."""
    x, y = torch.randn(8, 3, 32, 32), torch.randint(10, (8,))
    stored = []
    for flag in (False, True):
        model = models.ResNet(
            depth=18,
            stem="small",
            num_classes=10,
            input_shape=(3, 32, 32),
            activation_checkpointing=flag,
        )
        kept: dict[int, int] = {}

        def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.loss(x, y)
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        stored.append(sum(size for pointer, size in kept.items() if pointer not in weights))
    assert stored[1] < 0.5 * stored[0]


@pytest.mark.needs("ResNet")
def test_channels_last_changes_the_layout_and_not_the_logits() -> None:
    torch.manual_seed(0)
    model = models.ResNet(
        depth=18, stem="small", channels_last=True, num_classes=10, input_shape=(3, 32, 32)
    ).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = model(x)
        model.setup("fit")
        layouts = []
        model.layer1[0].register_forward_hook(lambda _m, _i, out: layouts.append(out))
        assert relative(model(x), before) < 1e-5
    assert layouts[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.needs("LeNet", "mnist")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    bool(why_not_compiled()), reason="torch.compile needs a C++ compiler and Python's headers"
)
def test_compiled_training_equals_plain(fit: Callable[..., CLI], mnist_root: Path) -> None:
    """With everything for speed at once, through the front door; compiling reorders sums, so to rounding only."""
    arguments = [
        "--model=LeNet",
        "--data=MNIST",
        f"--data.root={mnist_root}",
        "--trainer.max_epochs=1",
    ]
    fast = ["--model.compile=true", "--model.channels_last=true", "--trainer.precision=bf16-mixed"]
    plain = fit(*arguments).model.state_dict()
    counters.clear()
    compiled = fit(*arguments, *fast).model.state_dict()
    assert counters["stats"]["unique_graphs"] >= 1
    assert plain.keys() == compiled.keys()
    for key, tensor in plain.items():
        assert relative(compiled[key], tensor) < 0.02, key


@pytest.mark.needs("AlexNet")
def test_pictures_show_what_the_network_has() -> None:
    model = models.AlexNet(stem="small", num_classes=3, input_shape=(3, 32, 32)).eval()
    assert torch.equal(first_filters(model), model.features[0].weight)
    x = torch.randn(1, 3, 32, 32)
    maps = feature_maps(model, x)
    assert list(maps) == ["features.1", "features.4", "features.11", "features.12", "avgpool"]
    with torch.no_grad():
        assert torch.equal(maps["features.4"], model.features[:5](x)[0])
    mlp = MLP(hidden=(5,), num_classes=3, input_shape=(1, 8, 8))
    assert torch.equal(first_filters(mlp), mlp.layers[0].weight.view(5, 1, 8, 8))
    mlp.layers[0] = nn.Linear(
        16, 5
    )  # a layer that does not see the whole image has no picture of it
    assert first_filters(mlp) is None
    assert feature_maps(MLP(num_classes=3, input_shape=(1, 8, 8)), torch.zeros(1, 1, 8, 8)) == {}


def test_filters_are_shown_in_rows() -> None:
    picture = tiled(torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1, 1), rows=2, columns=2, empty=1.0)
    assert picture.shape == (1, 72, 72)
    assert picture[0, 18::36, 18::36].flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 1.0])
    assert (picture[0, ::36] == 1).all()  # the gaps


@pytest.mark.slow
def test_networks_need_no_torchvision() -> None:
    code = """
import importlib.metadata as metadata
import sys
found = metadata.distribution
def distribution(name):
    if name == "torchvision":  # or torchmetrics would import it because it is there
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.distribution = distribution
sys.modules["torchvision"] = None  # an import of it fails
from project import models
for name in {"VGG", "AlexNet", "GoogLeNet", "ResNet"} & vars(models).keys():
    getattr(models, name)(stem="small", num_classes=2, input_shape=(3, 32, 32))
"""
    root = Path(project.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=100)
