"""One LightningModule for each architecture. Importing a class here registers it for the CLI."""

from project.models.airbench import Airbench
from project.models.alexnet import AlexNet
from project.models.architecture import Architecture
from project.models.convnext import ConvNeXt
from project.models.efficientnet import EfficientNet
from project.models.googlenet import GoogLeNet
from project.models.lenet import LeNet
from project.models.mlp import MLP
from project.models.mobilenetv3 import MobileNetV3
from project.models.objectives import Classification, MultiLabel, Objective, Regression
from project.models.resnet import ResNet
from project.models.task import Task
from project.models.timm_models import Timm
from project.models.torchvision_models import Torchvision
from project.models.vgg import VGG
from project.models.vit import ViT

__all__ = [
    "MLP",
    "VGG",
    "Airbench",
    "AlexNet",
    "Architecture",
    "Classification",
    "ConvNeXt",
    "EfficientNet",
    "GoogLeNet",
    "LeNet",
    "MobileNetV3",
    "MultiLabel",
    "Objective",
    "Regression",
    "ResNet",
    "Task",
    "Timm",
    "Torchvision",
    "ViT",
]
