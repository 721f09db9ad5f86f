"""Base of datasets of photographs in files, which workers decode and crop."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from project.data.crops import Crops, crop_side
from project.data.datamodule import ImageDataModule
from project.data.gpu import LaterCrops, decode_on
from project.data.resizing import Interpolation
from project.data.transforms.policies import Policy
from project.errors import UserError

log = logging.getLogger(__name__)


class ImageFiles(ImageDataModule):
    """Photographs in files.

    Training images are random crops (Szegedy et al., 2015, section 6), to which the workers apply
    RandAugment and TrivialAugment. Other images have their short side resized and their centre
    cropped. Under the command line, a new run with published ``--model.weights`` takes what is
    None here from them.

    Args:
        image_size: Height and width of the crops in pixels; None for 224.
        resize: Short side of an image in evaluation before its centre is cropped; None for 8/7 of
            ``image_size``.
        interpolation: How images are resized, in training too; None for ``bilinear``.
        mean: Mean of each channel, with pixels in [0, 1]; None for ImageNet's.
        std: Standard deviation of each channel; None for ImageNet's.
        start_size: Height and width of training crops in the first epoch; they grow evenly to
            the training size in the last, in steps of 32.
        train_size: Height and width of training crops, such as 176 for an ``image_size`` of 224,
            where objects look as large as in training (Touvron et al., 2019); None for image_size.
        min_area: Smallest fraction of a training image's area in its crop.
        decode_on_gpu: Decode training JPEGs on the device, where the processor is too slow; a
            damaged file is then an error.
        max_unreadable: Largest fraction of a split's images that may be skipped because they
            cannot be read.
    """

    input_shape = (3, 224, 224)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        image_size: int | None = None,
        resize: int | None = None,
        interpolation: Interpolation | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        start_size: int | None = None,
        train_size: int | None = None,
        min_area: float = 0.08,
        decode_on_gpu: bool = False,
        max_unreadable: float = 0.05,
        **kwargs,
    ) -> None:
        image_size = self.input_shape[1] if image_size is None else image_size
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
        if resize is not None and resize < image_size:
            raise UserError(
                f"--data.resize {resize} is less than the {image_size} pixels of "
                "--data.image_size, which are cropped from it: raise it"
            )
        if not 0 <= max_unreadable <= 1:
            raise UserError(f"max_unreadable {max_unreadable} must be a fraction of the images")
        super().__init__(**kwargs)
        self.max_unreadable = max_unreadable
        self.input_shape, self.start_size = (3, image_size, image_size), start_size
        self.resize, self.interpolation = resize, interpolation or "bilinear"
        self.mean, self.std = mean or self.mean, std or self.std
        self.train_size = train_size
        self.min_area, self.decode_on_gpu = min_area, decode_on_gpu
        if not decode_on_gpu:
            self.policies = [t for t in self.augment if isinstance(t, Policy)]
            self.augment = [t for t in self.augment if not isinstance(t, Policy)]

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        num_classes, _ = super().metadata(arguments)
        size = arguments["image_size"] or cls.input_shape[1]
        return num_classes, (3, size, size)

    @property
    def crops(self) -> Crops:
        """Function from an encoded image to the uint8 image of a sample."""
        kind = LaterCrops if self.decode_on_gpu else Crops
        side = self.input_shape[1]
        short_side = side * 8 // 7 if self.resize is None else self.resize
        return kind(side, self.min_area, self.policies, short_side, self.interpolation)

    def transfer_batch_to_device(
        self, batch: tuple[Any, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        x, y = batch
        x = decode_on(device, x) if isinstance(x, list) else x
        return super().transfer_batch_to_device((x, y), device, dataloader_idx)

    def teardown(self, stage: str) -> None:
        for name in ("train_set", "test_set"):
            dataset = getattr(self, name, None)
            if dataset is not None and (count := int(dataset.unreadable.sum())):
                log.warning(f"{count} of the {len(dataset)} images of {name} could not be read")

    def decoder(self) -> Callable[[bytes], Tensor]:
        return self.crops.centre

    def sample_size(self) -> Callable[[int], int]:
        side, start = self.train_size, self.start_size
        return lambda epoch: (
            crop_side(epoch, self.trainer.max_epochs, start, side) if start else side
        )
