"""The datasets and transforms that a command line or config names; an import here registers one."""

from project.data.cifar import CIFAR10, CIFAR100
from project.data.datamodule import ImageDataModule
from project.data.digits import Digits
from project.data.image_folder import ImageFolder
from project.data.imagenet import ImageNet
from project.data.mnist import MNIST
from project.data.points import Points
from project.data.scikit_learn import BreastCancer, Diabetes, Iris
from project.data.table import CSV
from project.data.torchvision_datasets import EMNIST, KMNIST, STL10, SVHN, FashionMNIST
from project.data.torchvision_photographs import Flowers102, Food101, Imagenette, OxfordIIITPet
from project.data.transforms.color import ColorJitter
from project.data.transforms.erasing import Cutout, RandomErasing
from project.data.transforms.mix import CutMix, Mixup, MixupCutMix
from project.data.transforms.policies import RandAugment, TrivialAugment

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "CSV",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "STL10",
    "SVHN",
    "BreastCancer",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "Diabetes",
    "Digits",
    "FashionMNIST",
    "Flowers102",
    "Food101",
    "ImageDataModule",
    "ImageFolder",
    "ImageNet",
    "Imagenette",
    "Iris",
    "Mixup",
    "MixupCutMix",
    "OxfordIIITPet",
    "Points",
    "RandAugment",
    "RandomErasing",
    "TrivialAugment",
]
