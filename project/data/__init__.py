"""One LightningDataModule for each dataset. Importing a class here is what registers it for the CLI."""

from project.data.base import ImageDataModule
from project.data.digits import Digits
from project.data.mnist import MNIST

__all__ = ["MNIST", "Digits", "ImageDataModule"]
