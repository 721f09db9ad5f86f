"""One LightningDataModule for each dataset. Importing a class here is what registers it for the CLI."""

from project.data.cifar import CIFAR10, CIFAR100
from project.data.datamodule import ImageDataModule
from project.data.digits import Digits
from project.data.imagenet import ImageNet
from project.data.mnist import MNIST
from project.data.transforms.color import ColorJitter
from project.data.transforms.mix import CutMix, Mixup
from project.data.transforms.policies import RandAugment, TrivialAugment

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ColorJitter",
    "CutMix",
    "Digits",
    "ImageDataModule",
    "ImageNet",
    "Mixup",
    "RandAugment",
    "TrivialAugment",
]
