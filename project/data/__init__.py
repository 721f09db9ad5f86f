"""The datasets and transforms that a command line or config names; an import here registers one."""

from project.data.cifar import CIFAR10, CIFAR100
from project.data.datamodule import ImageDataModule
from project.data.digits import Digits
from project.data.imagenet import ImageNet
from project.data.mnist import MNIST
from project.data.transforms.color import ColorJitter
from project.data.transforms.erasing import Cutout, RandomErasing
from project.data.transforms.mix import CutMix, Mixup, MixupCutMix
from project.data.transforms.policies import RandAugment, TrivialAugment

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "Digits",
    "ImageDataModule",
    "ImageNet",
    "Mixup",
    "MixupCutMix",
    "RandAugment",
    "RandomErasing",
    "TrivialAugment",
]
