"""Every network of torchvision and timm through the adapters, against the libraries' own."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models as torchvision_models
from torch import Tensor, nn

from project import models
from project.cli.main import CLI, main
from project.models import Architecture
from tests.conftest import QUIET, slow_but
from tests.test_weights import randomised

Fails = Callable[..., str]
ON_DIGITS = ["--data=Digits", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
torchvision = pytest.mark.needs("torchvision_models")
timm = pytest.mark.needs("timm_models")

# Of every family of torchvision; the own networks of the project are others' tests.
FAMILIES = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3
    maxvit_t mnasnet1_0 mobilenet_v2 mobilenet_v3_large regnet_y_400mf resnet50 resnext50_32x4d
    shufflenet_v2_x1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_16 wide_resnet50_2
""".split()  # noqa: SIM905
QUICK = ("alexnet", "googlenet", "mobilenet_v2", "resnext50_32x4d", "shufflenet_v2_x1_0", "swin_t", "vit_b_16")  # fmt: skip
TIMM = """
    beit_base_patch16_224 cait_xxs24_224 convnext_atto crossvit_tiny_240
    deit_tiny_distilled_patch16_224 edgenext_small efficientnet_lite0 ghostnet_100
    levit_128 maxvit_tiny_tf_224 mixer_s16_224 mobilenetv3_small_100 mobilevit_xxs
    nfnet_f0 pit_ti_224 regnety_004 resnet26d resnetv2_50 swin_tiny_patch4_window7_224
    vit_small_patch16_224
""".split()  # noqa: SIM905


def of_torchvision(name: str, **options: object) -> Architecture:
    size = 299 if name == "inception_v3" else 384 if name == "efficientnet_v2_s" else 224
    size = 256 if name.startswith("swin_v2") else size
    arguments = {"num_classes": 1000, "input_shape": (3, size, size), **options}
    try:
        with torch.device("meta"):
            return models.Torchvision(name=name, **arguments)
    except NotImplementedError:  # RegNets compute their widths with tensors
        return models.Torchvision(name=name, **arguments)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def saved(model: nn.Module) -> str:
    torch.save(model.state_dict(), "saved.pth")
    return "saved.pth"


# ---------------------------------------------------------------- torchvision


@torchvision
@pytest.mark.parametrize("name", slow_but(QUICK, FAMILIES))
def test_counts_are_torchvisions(name: str) -> None:
    published = torchvision_models.get_model_weights(name)["IMAGENET1K_V1"].meta["num_params"]
    model = of_torchvision(name)
    # torchvision counts GoogLeNet without its auxiliary heads, and Inception v3 with them.
    extra = sum(count(model.get_submodule(head)) for head in model.head_names[1:])
    assert count(model) == published + (extra if name == "googlenet" else 0)


@torchvision
@pytest.mark.needs("describe")
@pytest.mark.parametrize("name", slow_but(["mobilenet_v2"], FAMILIES))
def test_macs_are_torchvisions(name: str) -> None:
    from project.commands.describe import layers

    meta = torchvision_models.get_model_weights(name)["IMAGENET1K_V1"].meta
    assert layers(of_torchvision(name))[-1].macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)


@torchvision
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in torchvision_models.list_models(module=torchvision_models)
                                  if torchvision_models.get_model_weights(name).DEFAULT.meta["num_params"] < 2e7])  # fmt: skip
def test_heads_are_what_depends_on_the_classes(name: str) -> None:
    few, more = (of_torchvision(name, num_classes=n) for n in (11, 12))
    shapes = more.state_dict()
    changed = {n for n, tensor in few.state_dict().items() if tensor.shape != shapes[n].shape}
    assert {n for n in changed if few.in_head(n)} == changed
    assert {f"{few.head_names[0]}.weight", f"{few.head_names[0]}.bias"} & changed
    grey = of_torchvision(name, input_shape=(1, *few.input_shape[1:]))
    differ = [n for n, x in grey.state_dict().items() if x.shape != more.state_dict()[n].shape]
    assert len([n for n in differ if not few.in_head(n)]) == 1


@torchvision
@pytest.mark.parametrize(
    "name", slow_but(["mobilenet_v3_small"], [
        "mobilenet_v3_small", "squeezenet1_1", "vit_b_32", "swin_t", "densenet121", "mnasnet0_5", "regnet_y_400mf"])
)  # fmt: skip
def test_state_dicts_go_both_ways(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    theirs = randomised(torchvision_models.get_model(name))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    side = 224 if name.startswith("vit") else 64
    x = torch.randn(2, 3, side, side)

    def ours(weights: str, num_classes: int) -> Architecture:
        shape = {"num_classes": num_classes, "input_shape": (3, side, side)}
        return models.Torchvision(name=name, weights=str(tmp_path / weights), **shape).eval()

    model = ours("theirs.pth", 1000)
    assert torch.allclose(model(x), theirs(x), rtol=1e-5, atol=1e-6)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "ours.ckpt")
    other = ours("ours.ckpt", 5)
    assert other(x).shape == (2, 5)
    assert torch.allclose(other.features(x), model.features(x), rtol=1e-5, atol=1e-6)
    stripped = {key.removeprefix("network."): t for key, t in model.state_dict().items()}
    fresh = theirs.state_dict()
    assert stripped.keys() == fresh.keys()
    assert all(torch.equal(tensor, fresh[key]) for key, tensor in stripped.items())


@torchvision
def test_features_are_what_the_last_layer_sees() -> None:
    model = models.Torchvision(
        name="shufflenet_v2_x0_5", num_classes=4, input_shape=(3, 32, 32)
    ).eval()
    x = torch.randn(2, 3, 32, 32)
    features = model.features(x)
    assert features.shape == (2, 1024)
    assert torch.allclose(model.network.fc(features), model(x), rtol=1e-5, atol=1e-6)
    assert not model.network.fc._forward_pre_hooks


@torchvision
@pytest.mark.slow
def test_published_densenets_have_older_names(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = randomised(torchvision_models.densenet121())
    old = {
        re.sub(r"(denselayer\d+\.)(norm|conv)([12])\.", r"\1\2.\3.", name): tensor
        for name, tensor in theirs.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    kind = torchvision_models.DenseNet121_Weights
    monkeypatch.setattr(kind, "get_state_dict", lambda self, **options: old)
    model = models.Torchvision(
        name="densenet121", weights="DEFAULT", num_classes=1000, input_shape=(3, 32, 32)
    )
    x = torch.randn(1, 3, 32, 32)
    assert torch.allclose(model.eval()(x), theirs(x), rtol=1e-5, atol=1e-6)


@torchvision
@pytest.mark.parametrize(("name", "factor", "side"), [("googlenet", 0.3, 32), pytest.param("inception_v3", 0.4, 299, marks=pytest.mark.slow)])  # fmt: skip
def test_auxiliary_heads_take_part_in_the_training_loss_alone(
    name: str, factor: float, side: int
) -> None:
    torch.manual_seed(0)
    options = {"num_classes": 5, "input_shape": (3, side, side)}
    model = models.Torchvision(name=name, **options)
    x, y = torch.randn(4, 3, side, side), torch.randint(5, (4,))
    torch.manual_seed(1)
    loss, outputs = model.loss(x, y)
    torch.manual_seed(1)  # for dropout
    main_outputs, *aux = model.network(x)
    criterion = nn.functional.cross_entropy
    expected = criterion(main_outputs, y) + factor * sum(criterion(out, y) for out in aux)
    assert torch.allclose(loss, expected)
    assert torch.allclose(outputs, main_outputs)
    assert isinstance(model(x), Tensor)
    assert isinstance(model.eval()(x), Tensor)
    plain = models.Torchvision(name=name, options={"aux_logits": False}, **options)
    assert plain.loss(x, y)[1].shape == (4, 5)
    plain.load_pretrained(saved(model))
    assert torch.equal(plain.network.fc.weight, model.network.fc.weight)


@torchvision
def test_published_googlenet_wants_its_input_transformed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = randomised(torchvision_models.googlenet(init_weights=False)).eval()
    kind = torchvision_models.GoogLeNet_Weights
    monkeypatch.setattr(kind, "get_state_dict", lambda self, **options: theirs.state_dict())
    reference = torchvision_models.googlenet(weights="DEFAULT").eval()
    shape = {"num_classes": 1000, "input_shape": (3, 32, 32)}
    model = models.Torchvision(name="googlenet", weights="DEFAULT", **shape).eval()
    x = torch.randn(1, 3, 32, 32)
    assert torch.allclose(model(x), reference(x), rtol=1e-5, atol=1e-6)
    torch.save(theirs.state_dict(), tmp_path / "googlenet.pth")
    with pytest.raises(ValueError, match=r"from a file need --model\.options\.transform_input"):
        models.Torchvision(name="googlenet", weights=str(tmp_path / "googlenet.pth"), **shape)


@torchvision
def test_other_channels_and_a_frozen_backbone() -> None:
    torch.manual_seed(0)
    colour, grey = (
        models.Torchvision(
            name="shufflenet_v2_x0_5",
            num_classes=3,
            input_shape=(c, 32, 32),
            freeze_backbone=True,
        )
        for c in (3, 1)
    )
    old, new = (model.network.conv1[0].weight for model in (colour, grey))
    assert new.shape == (old.shape[0], 1, *old.shape[2:])
    assert float(new.std() / old.std()) == pytest.approx(1, abs=0.2)
    trained = [name for name, p in grey.named_parameters() if p.requires_grad]
    assert trained == ["network.fc.weight", "network.fc.bias"]
    assert not grey.train().network.conv1[1].training


@torchvision
@pytest.mark.slow
def test_a_run_trains_tests_and_goes_on(fit: Callable[..., CLI]) -> None:
    """MNASNet, whose layers refuse a state dict without their version."""
    cli = fit("--model=Torchvision", "--model.name=mnasnet0_5", *ON_DIGITS)
    run = str(cli.run.folder)
    assert main(["test", "--run", run, *QUIET]) is not None
    more = ["--trainer.max_epochs=2", "--model.options.dropout=0.1"]
    last = main(["fit", "--run", run, *more, *QUIET])
    assert last is not None
    assert last.trainer.global_step == 4
    assert last.model.network.classifier[0].p == 0.1


WRONG = {
    "no classification network swim_t: give --model.name, such as swin_t": {"name": "swim_t"},
    "there are no weights ResNet18_Weights.DEFAULT of swin_t: give one of IMAGENET1K_V1": {
        "name": "swin_t", "weights": "ResNet18_Weights.DEFAULT"},
    "squeezenet1_1 cannot see images of 8x8 pixels": {"name": "squeezenet1_1"},
    "vit_b_16 with image_size 8": {"name": "vit_b_16"},
    "need 384x384 images, not 8x8 pixels": {
        "name": "vit_b_16", "weights": "IMAGENET1K_SWAG_E2E_V1"},
    "the auxiliary head of inception_v3 needs 299x299 pixels": {"name": "inception_v3"},
    "makes no mnasnet0_5 with depth 3": {"name": "mnasnet0_5", "options": {"depth": 3}},
}  # fmt: skip


@torchvision
@pytest.mark.parametrize("message", WRONG)
def test_torchvision_says_what_is_wrong(message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        models.Torchvision(num_classes=10, input_shape=(3, 8, 8), **WRONG[message])


@torchvision
def test_torchvisions_errors_are_one_line(fails: Fails, tmp_path: Path) -> None:
    arguments = ["fit", *ON_DIGITS, "--model=Torchvision", *QUIET]
    assert "name has no default: give --model.name" in fails(*arguments, "--model.weights=DEFAULT")
    torch.save(torchvision_models.mnasnet0_5().state_dict(), tmp_path / "mnasnet.pth")
    weights = f"--model.weights={tmp_path / 'mnasnet.pth'}"
    said = fails(*arguments, "--model.name=shufflenet_v2_x0_5", weights)
    assert "mnasnet.pth are of another architecture: conv1.0.weight is absent there" in said


# ---------------------------------------------------------------- timm


def of_timm(name: str, **options: object) -> Architecture:
    import timm

    size = timm.get_pretrained_cfg(name).input_size
    arguments = {"num_classes": 1000, "input_shape": size, **options}
    return models.Timm(name=name, **arguments)


@timm
@pytest.mark.parametrize("name", slow_but(["convnext_atto", "pit_ti_224"], TIMM))
def test_counts_are_timms(name: str) -> None:
    import timm

    try:
        with torch.device("meta"):
            ours, theirs = of_timm(name), timm.create_model(name)
    except (NotImplementedError, RuntimeError):
        ours, theirs = of_timm(name), timm.create_model(name)
    assert count(ours) == count(theirs)


@timm
@pytest.mark.parametrize("name", slow_but(["convnext_atto"], ["convnext_atto", "deit_tiny_distilled_patch16_224", "mobilenetv3_small_100", "swin_tiny_patch4_window7_224", "vit_small_patch16_224"]))  # fmt: skip
def test_timms_state_dicts_go_both_ways(name: str, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    model = of_timm(name, weights=str(tmp_path / "theirs.pth")).eval()
    x = torch.randn(2, *model.input_shape)
    assert torch.allclose(model(x), theirs(x), rtol=1e-5, atol=1e-6)
    seen = theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    seen = seen[0] if isinstance(seen, tuple) else seen
    if "distilled" not in name:  # timm gives the mean of the two heads' inputs
        assert torch.allclose(model.features(x), seen, rtol=1e-5, atol=1e-6)
    stripped = {key.removeprefix("network."): t for key, t in model.state_dict().items()}
    timm.create_model(name).load_state_dict(stripped, strict=True)
    head = of_timm(name, weights=str(tmp_path / "theirs.pth"), num_classes=3, freeze_backbone=True)
    trained = {n for n, p in head.named_parameters() if p.requires_grad}
    assert trained == {n for n, _ in head.named_parameters() if head.in_head(n)}
    assert all(n.startswith(("network.head", "network.classifier")) for n in trained)


@timm
def test_published_weights_are_loaded_by_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other classes, other channels and, for a vision transformer, images of another size."""
    import timm
    from timm.models import _builder

    theirs = timm.create_model("test_vit")
    state = theirs.state_dict()
    monkeypatch.setattr(_builder, "load_state_dict_from_hf", lambda *a, **k: dict(state))
    model = of_timm("test_vit", weights="DEFAULT", num_classes=3, input_shape=(1, 64, 64))
    block = "blocks.0.attn.qkv.weight"
    assert torch.equal(model.network.state_dict()[block], state[block])
    assert model.network.head.weight.shape == (3, 64)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 3)


WRONG_IN_TIMM = {
    "timm has no network convnext_ato: give --model.name, such as convnext_atto": {
        "name": "convnext_ato"},
    "timm has no network resnet18.nonsense": {"name": "resnet18.nonsense"},
    "there are no weights IMAGENET1K_V1 of test_vit: give DEFAULT": {
        "name": "test_vit", "weights": "IMAGENET1K_V1"},
    "timm publishes no weights for coatnet_0_224": {"name": "coatnet_0_224", "weights": "DEFAULT"},
    "test_vit cannot see images of 8x8 pixels": {"name": "test_vit"},
    "timm makes no resnet18": {"name": "resnet18", "options": {"stages": 3}},
}  # fmt: skip


@timm
@pytest.mark.parametrize("message", WRONG_IN_TIMM)
def test_timm_says_what_is_wrong(message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        models.Timm(num_classes=10, input_shape=(3, 8, 8), **WRONG_IN_TIMM[message])


@timm
def test_a_missing_extra_is_named(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    said = fails("fit", *ON_DIGITS, "--model=Timm", "--model.name=resnet18", *QUIET)
    assert 'pip install -e ".[timm]"' in said
