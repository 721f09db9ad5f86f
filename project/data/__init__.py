"""One LightningDataModule for each dataset. Importing a class here is what registers it for the CLI."""

from project.data.base import ImageDataModule
from project.data.cifar import CIFAR10, CIFAR100
from project.data.digits import Digits
from project.data.imagenet import ImageNet
from project.data.mnist import MNIST

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "Digits", "ImageDataModule", "ImageNet"]
