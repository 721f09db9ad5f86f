"""ViT's positions and tokens, against torchvision's class and slow, plain code."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from project import models
from project.cli.main import main
from tests.conftest import QUIET
from tests.test_networks import fill_zeros, relative

pytestmark = pytest.mark.needs("ViT")
DIGITS = ["--data=Digits", "--model=ViT", "--model.size=tiny", "--trainer.max_epochs=1"]


def tiny(pixels: int, patch: int) -> VisionTransformer:
    """torchvision's class with the numbers of Touvron et al. (2021)."""
    torch.manual_seed(0)
    network = VisionTransformer(pixels, patch, 12, 3, 192, 768, num_classes=10)
    fill_zeros(network)
    return network.eval()


def test_logits_are_torchvisions() -> None:
    reference = tiny(32, 8)
    model = models.ViT(size="tiny", patch=8, num_classes=10, input_shape=(3, 32, 32)).eval()
    model.load_state_dict(reference.state_dict(), strict=True)
    tiny(32, 8).load_state_dict(model.state_dict(), strict=True)
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert relative(model(x), reference(x)) < 1e-5
    assert relative(model(x), reference(x)) < 1e-5  # by other code of attention


def test_weights_of_another_image_size_are_interpolated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the published files, the layers of the MLPs have the names that torchvision's class had."""
    old, new = tiny(32, 4), tiny(8, 4)
    state = dict(old.state_dict())
    new.load_state_dict(interpolate_embeddings(8, 4, old.state_dict()))
    for name in list(state):
        for ours, theirs in ((".mlp.0.", ".mlp.linear_1."), (".mlp.3.", ".mlp.linear_2.")):
            if ours in name:
                state[name.replace(ours, theirs)] = state.pop(name)
    torch.save(state, tmp_path / "old.pt")
    options = {"size": "tiny", "patch": 4, "num_classes": 10, "input_shape": (1, 8, 8)}
    with caplog.at_level("INFO"):
        model = models.ViT(weights=str(tmp_path / "old.pt"), **options).eval()
    assert "positions interpolated from 64 to 2x2" in caplog.text
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():  # a gray image gives the response of the same values in each channel
        assert relative(model(x), new(x.repeat(1, 3, 1, 1))) < 1e-4


def test_positions_are_interpolated_to_rectangles() -> None:
    """Bicubic interpolation is linear in each direction, so that it may go one after the other."""
    state = {"encoder.pos_embedding": torch.randn(1, 1 + 7 * 7, 12)}
    wide = models.vit.interpolate_positions(state["encoder.pos_embedding"], 7, 14)
    high = models.vit.interpolate_positions(state["encoder.pos_embedding"], 14, 7)
    both = interpolate_embeddings(28, 2, {**state})["encoder.pos_embedding"]
    assert wide.shape == high.shape == (1, 1 + 7 * 14, 12)
    grid, rows = both[0, 1:].view(14, 14, 12), wide[0, 1:].view(7, 14, 12)
    for k in (0, 6):  # the first and the last row stay where they are, for corners are aligned
        assert torch.allclose(rows[k], grid[13 * (k > 0)], atol=1e-5)
    assert torch.equal(wide[:, 0], state["encoder.pos_embedding"][:, 0])


def test_simple_vit_is_that_of_beyer_et_al() -> None:
    model = models.ViT(size="tiny", patch=8, simple=True, num_classes=10, input_shape=(3, 16, 24))
    names = {name for name, _ in model.named_parameters()}
    assert not names & {"class_token", "encoder.pos_embedding"}
    assert not any("pos_embedding" in name for name in model.state_dict())
    for token, position in enumerate(model.encoder.pos_embedding[0]):
        row, column = divmod(token, 3)
        for k in range(48):  # big_vision's posemb_sincos_2d
            frequency = 1 / 10_000 ** (k / 47)
            expected = [math.sin(column * frequency), math.cos(column * frequency),
                        math.sin(row * frequency), math.cos(row * frequency)]  # fmt: skip
            assert position[k::48].tolist() == pytest.approx(expected, abs=1e-6)
    seen: list[Tensor] = []
    model.encoder.register_forward_hook(lambda _m, _x, tokens: seen.append(tokens))
    features = model.features(torch.randn(2, 3, 16, 24))
    assert seen[0].shape == (2, 6, 192)
    assert torch.allclose(features, sum(seen[0][:, k] for k in range(6)) / 6, atol=1e-6)


def test_weight_decay_skips_positions_and_the_class_token() -> None:
    """As in timm, where they are in ``no_weight_decay``."""
    model = models.ViT(size="tiny", patch=4, num_classes=10, input_shape=(3, 8, 8))
    decayed, others = model.parameter_groups()
    names = {id(p): name for name, p in model.named_parameters()}
    skipped = {names[id(p)] for p in others["params"]}
    assert {"class_token", "encoder.pos_embedding"} <= skipped
    assert all(
        name.endswith(("bias", "token", "embedding"))
        or isinstance(model.get_submodule(name.rpartition(".")[0]), nn.LayerNorm)
        for name in skipped
    )
    assert len(decayed["params"]) == 12 * 4 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "patches of 16 pixels do not divide images of 8x8: give --model.patch 4 or 8"),
        (["--model.patch=4", "--model.drop_path=1.5"], "drop_path is 1.5"),
        (["--model.patch=4", "--model.weights=DEFAULT"], "publishes no weights for ViT"),
        (["--model.patch=5"], "patch"),
    ],
)
def test_bad_input(arguments: list[str], message: str, fails: Callable[..., str]) -> None:
    assert message in fails("fit", *QUIET, *DIGITS, *arguments)


def test_positions_that_make_no_square_are_refused(tmp_path: Path) -> None:
    options = {"size": "tiny", "patch": 4, "num_classes": 10}
    state = models.ViT(input_shape=(3, 8, 12), **options).state_dict()
    torch.save(state, tmp_path / "wide.pt")
    with pytest.raises(ValueError, match="6 patches, which make no square"):
        models.ViT(input_shape=(3, 8, 8), weights=str(tmp_path / "wide.pt"), **options)


@pytest.mark.slow
@pytest.mark.parametrize("simple", [False, True])
def test_learns_the_digits(simple: bool) -> None:
    cli = main(
        ["fit", *QUIET, *DIGITS, "--model.patch=4", f"--model.simple={str(simple).lower()}",
         "--optimizer.lr=0.001", "--trainer.max_epochs=3"]
    )  # fmt: skip
    assert cli is not None
    assert float(cli.trainer.callback_metrics["val/acc"]) > 0.8
