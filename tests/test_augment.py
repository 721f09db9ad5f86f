"""Augmentation, against torchvision's and plain code image by image."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from project import data as datasets
from project.data import ColorJitter, CutMix, Mixup, MixupCutMix, RandAugment, TrivialAugment
from project.data.transforms.augment import (
    Crop,
    Flip,
    Rotate,
    Shrink,
    crop,
    flip,
    rotate,
)
from project.data.transforms.color import hue
from project.data.transforms.erasing import Cutout, RandomErasing, erase
from project.data.transforms.mix import cutmix, mixup
from project.data.transforms.policies import BINS, NAMES, SIGNED, transformed
from project.errors import UserError

NEAREST = InterpolationMode.NEAREST
ALL = [
    Flip(),
    Crop(2),
    Rotate(30),
    Cutout(3),
    RandomErasing(0.9),
    ColorJitter(hue=0.2),
    RandAugment(),
    TrivialAugment(),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, height: int = 32, width: int = 40) -> Tensor:
    """Whole numbers in [0, 255] (n, 3, height, width), float; the last image is of one colour."""
    x = torch.randint(256, (n, 3, height, width), generator=generator()).float()
    x[-1] = 100
    return x


def chi_square(counts: Tensor) -> float:
    """Chi-square statistic of counts that should be equal."""
    expected = counts.double().mean()
    return float(((counts - expected) ** 2 / expected).sum())


def test_crop_equals_padding_and_cutting() -> None:
    x = torch.rand(9, 3, 7, 5)
    top, left = torch.tensor([0, 1, 2, 3, 4, 5, 6, 3, 0]), torch.tensor([3, 3, 0, 1, 2, 6, 5, 4, 0])
    moved = crop(x, 3, top, left)
    for i in range(9):
        padded = torch.zeros(3, 13, 11)
        padded[:, 3:10, 3:8] = x[i]
        assert torch.equal(moved[i], padded[:, top[i] : top[i] + 7, left[i] : left[i] + 5])


def test_flip_equals_torchvisions() -> None:
    from torchvision.transforms.v2.functional import horizontal_flip

    x, chosen = torch.rand(4, 3, 6, 5), torch.tensor([True, False, False, True])
    for before, after, turned in zip(x, flip(x, chosen), chosen, strict=True):
        assert torch.equal(after, horizontal_flip(before) if turned else before)


@pytest.mark.parametrize("size", [(9, 9), (12, 7)])
def test_rotate_equals_torchvisions(size: tuple[int, int]) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import rotate as reference

    x, degrees = torch.rand(5, 2, *size), torch.tensor([0.0, 10.0, -25.0, 90.0, 180.0])
    turned = rotate(x, degrees * math.pi / 180)
    for before, after, angle in zip(x, turned, degrees.tolist(), strict=True):
        assert torch.allclose(
            after, reference(before, angle, InterpolationMode.BILINEAR), atol=1e-4
        )


def test_shrink_equals_torchvisions_resize_in_the_first_epochs() -> None:
    shrink, x = Shrink(size=12, epochs=2), torch.rand(3, 2, 16, 16)
    smaller = reference.resize(x, [12, 12], InterpolationMode.BILINEAR, antialias=True)
    for shrink.epoch, expected in enumerate((smaller, smaller, x)):
        got, _ = shrink(x, torch.zeros(3), generator())
        assert torch.equal(got, expected)
    with pytest.raises(UserError, match="size 0"):
        Shrink(size=0, epochs=1)


def test_crop_is_uniform() -> None:
    """Chi-square over the 25 shifts of up to 2 pixels: above 51.2 once in a thousand draws."""
    x = torch.zeros(5000, 1, 8, 8)
    x[:, :, 4, 4] = 1
    moved = Crop(2)(x, torch.zeros(5000), torch.Generator().manual_seed(0))[0]
    counts = moved.sum((0, 1))[2:7, 2:7].flatten()
    assert float(((counts - 200) ** 2 / 200).sum()) < 51.2


def strength_of(name: str, strength: float) -> Callable[[Tensor], Tensor]:
    """torchvision's transform of one uint8 image, with its own names of the parameters."""
    shear = math.degrees(math.atan(strength))

    def affine(
        translate: list[int], shears: list[float], center: list[float] | None
    ) -> Callable[[Tensor], Tensor]:
        return lambda x: reference.affine(x, 0.0, translate, 1.0, shears, NEAREST, center=center)

    return {
        "Identity": lambda x: x,
        "ShearX": affine([0, 0], [shear, 0.0], [0, 0]),
        "ShearY": affine([0, 0], [0.0, shear], [0, 0]),
        "TranslateX": affine([int(strength), 0], [0.0, 0.0], None),
        "TranslateY": affine([0, int(strength)], [0.0, 0.0], None),
        "Rotate": lambda x: reference.rotate(x, strength, NEAREST),
        "Brightness": lambda x: reference.adjust_brightness(x, 1 + strength),
        "Color": lambda x: reference.adjust_saturation(x, 1 + strength),
        "Contrast": lambda x: reference.adjust_contrast(x, 1 + strength),
        "Sharpness": lambda x: reference.adjust_sharpness(x, 1 + strength),
        "Posterize": lambda x: reference.posterize(x, int(strength)),
        "Solarize": lambda x: reference.solarize(x, strength),
        "AutoContrast": reference.autocontrast,
        "Equalize": reference.equalize,
    }[name]


@pytest.mark.parametrize(
    "policy", [RandAugment(), TrivialAugment()], ids=["RandAugment", "TrivialAugment"]
)
@pytest.mark.parametrize("k", range(len(NAMES)), ids=NAMES)
def test_policies_transforms_equal_torchvisions(policy: RandAugment, k: int) -> None:
    """In one batch of different strengths; torchvision truncates to uint8 after each step."""
    name, x = NAMES[k], images(10)
    table = policy.strengths(32, 40).get(name, torch.zeros(BINS))
    strengths = table[[0, 3, 9, 17, 30]].repeat(2) * (
        torch.tensor([1] * 5 + [-1] * 5) if SIGNED[k] else 1
    )
    ours = transformed(x, torch.full((10,), k), strengths)
    for before, after, strength in zip(x, ours, strengths.tolist(), strict=True):
        # A pixel of a rotated image may lie between two others: processors round it either way.
        nearby = (-0.01, 0.0, 0.01) if name == "Rotate" else (0.0,)
        expected = [strength_of(name, strength + d)(before.to(torch.uint8)) for d in nearby]
        different = [((after - image.float()).abs() > 2) for image in expected]
        assert float(torch.stack(different).all(0).float().mean()) < 1e-6


def test_policies_strengths_are_torchvisions() -> None:
    from torchvision.transforms import v2

    for ours, theirs in (
        (RandAugment(), v2.RandAugment()),
        (TrivialAugment(), v2.TrivialAugmentWide()),
    ):
        for name, (strength, signed) in theirs._AUGMENTATION_SPACE.items():
            expected = strength(BINS, 32, 40)
            got = ours.strengths(32, 40).get(name)
            assert bool(SIGNED[NAMES.index(name)]) == signed
            assert (expected is None) == (got is None)
            if got is not None:
                scale = (
                    255 if name == "Solarize" else 1
                )  # torchvision's is a fraction of the greatest value
                assert torch.allclose(torch.as_tensor(expected).float() * scale, got)


def test_hue_equals_torchvisions() -> None:
    x, turns = images(6), torch.tensor([0.0, 0.1, -0.1, 0.3, 0.5, 0.2])
    for before, after, by in zip(x, hue(x, turns), turns.tolist(), strict=True):
        assert torch.allclose(after, reference.adjust_hue(before / 255, by) * 255, atol=0.01)


def test_erase_equals_a_loop() -> None:
    x = torch.rand(4, 2, 6, 5)
    top, left = torch.tensor([0, -2, 4, 3]), torch.tensor([1, -1, 3, 2])
    height, width = torch.tensor([2, 4, 5, 0]), torch.tensor([3, 3, 5, 0])
    erased = erase(x, top, left, height, width)
    for i in range(4):
        expected = x[i].clone()
        for row in range(6):
            for column in range(5):
                if top[i] <= row < top[i] + height[i] and left[i] <= column < left[i] + width[i]:
                    expected[:, row, column] = x.mean((0, 2, 3))
        assert torch.allclose(erased[i], expected)


def test_mixup_and_cutmix_equal_a_loop() -> None:
    x, y = torch.rand(4, 3, 6, 8), torch.eye(5)[[0, 3, 1, 1]]
    lam = torch.tensor([0.0, 0.25, 0.5, 1.0])
    mixed, targets = mixup(x, y, lam)
    for i, s in enumerate(lam.tolist()):
        assert torch.allclose(mixed[i], s * x[i] + (1 - s) * x[i - 1])
        assert torch.allclose(targets[i], s * y[i] + (1 - s) * y[i - 1])
    features, values = torch.rand(4, 10), torch.rand(4)  # a table, and one number a sample
    mixed, targets = mixup(features, values, lam)
    assert torch.allclose(mixed, torch.lerp(features.roll(1, 0), features, lam[:, None]))
    assert torch.allclose(targets, torch.lerp(values.roll(1), values, lam))
    top, left, bottom, right = torch.tensor(
        [[0, 1, 2, 3], [0, 2, 4, 4], [6, 3, 6, 3], [8, 7, 5, 4]]
    )
    mixed, targets = cutmix(x, y, top, left, bottom, right)
    for i in range(4):
        box = slice(int(top[i]), int(bottom[i])), slice(int(left[i]), int(right[i]))
        expected = x[i].clone()
        expected[:, box[0], box[1]] = x[i - 1][:, box[0], box[1]]
        area = (bottom[i] - top[i]) * (right[i] - left[i]) / 48
        assert torch.equal(mixed[i], expected)
        assert torch.allclose(targets[i], (1 - area) * y[i] + area * y[i - 1])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_weights_of_mixed_samples_are_beta_distributed(alpha: float) -> None:
    """Chi-square over ten bins of equal probability, as NumPy draws them; 9 degrees of freedom."""
    edges = np.quantile(
        np.random.default_rng(0).beta(alpha, alpha, 2_000_000), np.linspace(0, 1, 11)[1:-1]
    )
    weights = Mixup(alpha).weights(20_000, generator())
    counts = torch.bucketize(weights, torch.from_numpy(edges).float()).bincount(minlength=10)
    assert chi_square(counts) < 27.9


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_samples_differ_and_follow_the_seed(transform: Flip) -> None:
    x, y = images(1, 8, 10)[:1].expand(64, -1, -1, -1), torch.arange(64)
    x = x + torch.linspace(0, 90, 80).view(8, 10)
    first, again, other = (transform(x, y, generator(seed))[0] for seed in (0, 0, 1))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(first.unique(dim=0)) > (1 if isinstance(transform, Flip) else 4)
    assert 0 <= float(first.min()) <= float(first.max()) <= 255


def test_transforms_of_policies_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chi-square over the 14 transforms, the 31 strengths and the 2 signs."""
    from project.data.transforms import policies

    drawn: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(policies, "transformed", lambda x, k, s: (drawn.append((k, s)), x)[1])
    TrivialAugment()(torch.zeros(40_000, 3, 8, 8), torch.zeros(40_000), generator())
    operation, strength = drawn[0]
    assert chi_square(operation.bincount(minlength=14)) < 34.5
    turned = strength[operation == NAMES.index("Rotate")]
    assert chi_square((turned.abs() / 135 * 30).round().long().bincount(minlength=31)) < 59.7
    assert chi_square((turned[turned != 0] > 0).long().bincount(minlength=2)) < 10.8


def test_flip_and_cutout_are_drawn_evenly() -> None:
    x = torch.zeros(6400, 1, 8, 8)
    x[:, :, :, 0] = 1
    flipped, _ = Flip()(x, torch.zeros(6400), generator())
    assert chi_square(flipped[:, 0, 0, 0].long().bincount(minlength=2)) < 10.8
    x[:, :, :, 1:] = 1
    x[0] = -6399  # the mean colour is about zero
    centre = (
        (Cutout(1)(x, torch.zeros(6400), generator())[0][1:, 0] != 1).flatten(1).long().argmax(1)
    )
    assert chi_square(centre.bincount(minlength=64)) < 103.5


def test_erased_areas_are_torchvisions() -> None:
    from torchvision.transforms import v2

    torch.manual_seed(0)
    theirs = [v2.RandomErasing(p=1.0).make_params([torch.zeros(3, 32, 40)]) for _ in range(4000)]
    area = torch.tensor([p["h"] * p["w"] for p in theirs]).double()
    x = torch.zeros(4000, 1, 32, 40)
    x[0] = 1  # so that the mean colour is not zero
    erased = (
        (RandomErasing(1.0)(x, torch.zeros(4000), generator())[0][1:] != 0).sum((1, 2, 3)).double()
    )
    assert torch.allclose(erased.mean(), area.mean(), rtol=0.05)
    assert torch.allclose(erased.std(), area.std(), rtol=0.05)


@pytest.mark.needs("cifar")
@pytest.mark.parametrize("mix", [Mixup(1.0), CutMix(1.0), MixupCutMix()])
def test_mixed_batches_have_soft_targets(mix: Mixup) -> None:
    data = datasets.CIFAR10(augment=[Flip()], mix=mix)
    x, y = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8), torch.arange(64) % 10
    _, soft = data.to_input(x, y, step=3)
    assert soft.shape == (64, 10)
    assert torch.allclose(soft.sum(1), torch.ones(64))
    assert len(soft.amax(1).unique()) > 10  # each sample has a weight of its own
    assert torch.equal(data.to_input(x, y)[1], y)  # evaluation is not mixed


@pytest.mark.needs("cifar")
def test_batches_depend_on_seed_step_and_nothing_else() -> None:
    x, y = torch.randint(256, (16, 3, 32, 32), dtype=torch.uint8), torch.arange(16) % 10
    data = datasets.CIFAR10(augment=[RandAugment(), Crop(), Flip(), Cutout()], mix=CutMix())
    first, _ = data.to_input(x, y, step=5)
    torch.manual_seed(99)
    torch.rand(7)
    other, _ = data.to_input(x, y, step=6)
    assert torch.equal(data.to_input(x, y, step=5)[0], first)
    assert not torch.equal(other, first)


def test_mixup_or_cutmix_for_each_sample() -> None:
    """A sample is blended as a whole, or has a box of the one before it; its target says how much."""
    x, y = torch.rand(4000, 1, 12, 12), torch.rand(4000, 5)
    mixed, targets = MixupCutMix(switch_prob=0.3)(x, y, generator())
    other = x.roll(1, 0)
    boxed = ((mixed == x) | (mixed == other)).flatten(1).all(1)
    assert float(boxed.double().mean()) == pytest.approx(0.3, abs=0.025)
    kept = (mixed == x)[boxed].double().mean((1, 2, 3))
    blended = ((mixed - other) / (x - other))[~boxed].flatten(1).median(1).values
    lam = torch.empty(4000).masked_scatter_(boxed, kept.float()).masked_scatter_(~boxed, blended)
    truth = torch.lerp(y.roll(1, 0), y, lam[:, None])
    assert torch.allclose(targets, truth, atol=1e-3)
    for probability, kind in ((0.0, Mixup(0.8)), (1.0, CutMix(1.0))):
        mixed, _ = MixupCutMix(switch_prob=probability)(x, y, generator())
        assert bool(((mixed == x) | (mixed == other)).all()) == isinstance(kind, CutMix)
    assert MixupCutMix(switch_prob=1)(x[:8], torch.rand(8), generator())[1].shape == (8,)
    with pytest.raises(ValueError, match="switch_prob 2 must be a probability"):
        MixupCutMix(switch_prob=2)
