"""The network that an exported file computes, with the normalisation of its images."""

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from project.data import ImageDataModule
from project.models import Architecture


class Classifier(nn.Module):
    """Class probabilities (N, num_classes) of uint8 images (N, C, H, W).

    Args:
        model: A classifier of normalised images; it is put into eval mode and no longer trained.
        data: The dataset that it was trained on, which has the statistics of the normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Architecture, data: ImageDataModule) -> None:
        super().__init__()
        self.model = model
        for name, value in zip(("mean", "std"), data.statistics(torch.device("cpu")), strict=True):
            self.register_buffer(name, value.clone())
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.model.eval_outputs((images.float() - self.mean) / self.std)
        return self.model.objective.predictions(outputs)


def trace(classifier: Classifier, x: Tensor) -> ExportedProgram:
    """The operations of a classifier on images like ``x`` (M, C, H, W), for batches of any size."""
    example = torch.cat([x[:1], x[:1]])  # a size of one would be taken for a constant
    shapes = {"images": {0: Dim("batch")}}
    program = torch.export.export(classifier, (example,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program
