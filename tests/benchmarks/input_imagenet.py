"""How fast one core makes training crops of photographs, against torchvision's references.

    python -m tests.benchmarks.input_imagenet --images DIR [--turns 8]

DIR holds a folder of JPEGs for each class. All give crops of 224 pixels with one thread and no
workers: torchvision's references by Pillow, and `ImageNet` by its own training loader, from the
same files and from a cache of 256 pixels that is made first. What follows on the device (float,
flip, normalise) is in the references' path, as it is there.

The mean absolute difference is to the slow path at the same crop: full decoding, float resizing
with antialiasing.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from project.data import ImageNet
from project.data.crops import random_box
from project.data.resizing import crop
from tests.benchmarks import conclude, new_parser
from tests.benchmarks.input_cifar import compare, rate

SIDE, BATCH = 224, 32


def ours(root: Path, cache: int | None) -> Iterator[torch.Tensor]:
    """Training batches of the datamodule without end."""
    data = ImageNet(root=str(root), batch_size=BATCH, val_size=1, cache=cache)
    trainer = SimpleNamespace(world_size=1, global_rank=0, accumulate_grad_batches=1)
    data.trainer = trainer  # type: ignore[assignment]
    data.setup("fit")
    loader = data.train_dataloader()
    while True:
        yield from (x for x, _ in loader)


class References(torch.utils.data.Dataset):
    """The dataset and preset of torchvision's references for training."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(SIDE, antialias=True),
                transforms.RandomHorizontalFlip(),
                transforms.PILToTensor(),
                transforms.ConvertImageDtype(torch.float),
                transforms.Normalize(ImageNet.mean, ImageNet.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with self.paths[index].open("rb") as file:
            return self.transform(Image.open(file).convert("RGB"))


def references(paths: list[Path]) -> Iterator[torch.Tensor]:
    """Batches without end."""
    loader = DataLoader(References(paths), batch_size=BATCH, shuffle=True, drop_last=True)
    while True:
        yield from loader


def difference(path: Path, seed: int) -> float:
    """Mean absolute difference, in levels of 255, of a random crop to the slow path's."""
    draws = torch.rand(4, 10, generator=torch.Generator().manual_seed(seed)).tolist()
    choose = partial(random_box, min_area=0.08, draws=draws)
    with Image.open(path) as file:
        pixels = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).float()
    top, left, height, width = choose(*pixels.shape[1:])
    part = pixels[None, :, top : top + height, left : left + width]
    slow = F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    return float((crop(path.read_bytes(), choose, SIDE).float() - slow).abs().mean())


if __name__ == "__main__":
    parser = new_parser("input_imagenet", __doc__)
    parser.add_argument(
        "--images", type=Path, required=True, help="a folder of JPEGs for each class"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(path for path in options.images.glob("*/*") if path.is_file())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "train").symlink_to(options.images.absolute())
        (root / "val").symlink_to(options.images.absolute())
        list(ImageNet(root=folder, cache=256).prepare_cache())
        sources = {
            "references": references(paths),
            "ours": ours(root, None),
            "ours_cache_256": ours(root, 256),
        }
        rates = compare(
            {k: partial(rate, v, options.seconds) for k, v in sources.items()}, options.turns
        )
    differences = [difference(path, seed) for seed, path in enumerate(paths * 4)]
    result = {
        **{f"{name}_images_per_s": round(value) for name, value in rates.items()},
        "ratio": round(rates["ours"] / rates["references"], 2),
        "ratio_cache_256": round(rates["ours_cache_256"] / rates["references"], 2),
        "difference_mean": round(sum(differences) / len(differences), 3),
        "difference_max": round(max(differences), 3),
        "images": len(paths),
    }
    conclude(result, options.out)
