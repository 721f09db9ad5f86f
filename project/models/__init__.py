"""One LightningModule for each architecture. Importing a class here is what registers it for the CLI."""

from project.models.base import ImageClassifier
from project.models.lenet import LeNet
from project.models.mlp import MLP

__all__ = ["MLP", "ImageClassifier", "LeNet"]
