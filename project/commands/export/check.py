"""Check an exported file against its checkpoint on real images."""

from itertools import islice

import torch
from torch import Tensor

from project.commands.export.formats import Compute
from project.data import ImageDataModule
from project.data.download import DownloadedDataModule
from project.data.encoded_images import stack
from project.data.given_images import find_images, skipped
from project.errors import UserError
from project.models import Architecture
from project.plots import evenly_spaced

BATCHES = [64, 1, *[7] * 5]  # sizes of the batches that 100 images are checked in


def real_images(data: ImageDataModule, images: list[str] | None) -> tuple[Tensor, dict[str, str]]:
    """100 uint8 images (N, C, H, W) or fewer, and a row for the summary if some were skipped.

    They are the first readable ones of the user's ``images``, or some of the validation set.

    Raises:
        UserError: None of the user's can be read, or the dataset is not there.
    """
    count = sum(BATCHES)
    if images:
        data.given = find_images(images)
        data.setup("predict")
        found = map(data.predict_set.image, range(len(data.given)))
        readable = (image for image in found if image is not None)
        return stack(list(islice(readable, count))), skipped(data.predict_set)
    if isinstance(data, DownloadedDataModule):
        data.download = False  # the user's own images do as well
    try:
        data.prepare_data()
        data.setup("validate")
        chosen = data.val_indices[evenly_spaced(count, len(data.val_indices))]
        return data.train_set.__getitems__(chosen)[0], {}
    except (ValueError, OSError) as error:
        reason = error if isinstance(error, OSError) else str(error).rpartition(": ")[0]
        raise UserError(
            f"no validation images to check the export on ({reason}): "
            "give --images files or folders, or --data.root"
        ) from None


def largest_difference(
    compute: Compute, data: ImageDataModule, model: Architecture, x: Tensor
) -> float:
    """The largest difference between the predictions of a file and of a model.

    It is relative to the greatest prediction if that is above 1, as it may be in a regression.

    Args:
        compute: The function that the file computes.
        data: The dataset, which normalises images for the model.
        model: The classifier in eval mode.
        x: uint8 images (N, C, H, W), which are repeated to make 100.
    """
    order = torch.arange(sum(BATCHES)) % len(x)
    worst = []
    with torch.no_grad():
        for part in order.split(BATCHES):
            expected = model.predict_step(data.to_input(x[part], part), 0)
            difference = (compute(x[part].contiguous()) - expected).abs().max()
            worst.append(difference / expected.abs().max().clamp(min=1))
    return float(torch.stack(worst).max())
