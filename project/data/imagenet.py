"""ImageNet, or any folder of images with a folder for each class."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from project.data.crops import Crops, crop_side
from project.data.gpu import LaterCrops, decode_on
from project.data.image_folder import ImageFolder
from project.data.transforms.policies import Policy
from project.errors import UserError


class ImageNet(ImageFolder):
    """Photographs in ``root/train/<class>/*`` and ``root/val/<class>/*`` (Deng et al., 2009).

    The official archives and devkit in ``root`` are extracted once. Any other folder of images
    serves as well. Training images are random crops (Szegedy et al., 2015, section 6), to which
    the workers apply RandAugment and TrivialAugment. Other images have their short side resized to
    8/7 of ``image_size`` and their centre cropped. The official validation images are the test
    set, and validation is held out of the training images.

    Args:
        image_size: Height and width of the crops in pixels.
        start_size: Height and width of training crops in the first epoch; they grow evenly to
            the training size in the last, in steps of 32.
        train_size: Height and width of training crops, such as 176 for an ``image_size`` of 224,
            where objects look as large as in training (Touvron et al., 2019); None for image_size.
        min_area: Smallest fraction of a training image's area in its crop.
        decode_on_gpu: Decode training JPEGs on the device, where the processor is too slow; a
            damaged file is then an error.
    """

    num_classes = 1000
    input_shape = (3, 224, 224)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        image_size: int = 224,
        start_size: int | None = None,
        train_size: int | None = None,
        min_area: float = 0.08,
        decode_on_gpu: bool = False,
        **kwargs,
    ) -> None:
        if image_size < 1 or not 0 < min_area <= 1:
            raise UserError(
                f"image_size {image_size} must be positive, and min_area {min_area} a fraction of "
                "the area"
            )
        train_size = train_size or image_size
        if train_size < 1 or (start_size is not None and not 0 < start_size <= train_size):
            raise UserError(
                f"start_size {start_size} must lie between 1 and the size of training images, "
                f"{train_size}"
            )
        super().__init__(**kwargs)
        self.input_shape, self.start_size = (3, image_size, image_size), start_size
        self.train_size = train_size
        self.min_area, self.decode_on_gpu = min_area, decode_on_gpu
        if not decode_on_gpu:
            self.policies = [t for t in self.augment if isinstance(t, Policy)]
            self.augment = [t for t in self.augment if not isinstance(t, Policy)]

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        num_classes, _ = super().metadata(arguments)
        size = arguments["image_size"]
        return num_classes, (3, size, size)

    @property
    def crops(self) -> Crops:
        kind = LaterCrops if self.decode_on_gpu else Crops
        return kind(self.input_shape[1], self.min_area, self.policies)

    def transfer_batch_to_device(
        self, batch: tuple[Any, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        x, y = batch
        x = decode_on(device, x) if isinstance(x, list) else x
        return super().transfer_batch_to_device((x, y), device, dataloader_idx)

    def decoder(self) -> Callable[[bytes], Tensor]:
        return self.crops.centre

    def sample_size(self) -> Callable[[int], int]:
        side, start = self.train_size, self.start_size
        return lambda epoch: (
            crop_side(epoch, self.trainer.max_epochs, start, side) if start else side
        )
