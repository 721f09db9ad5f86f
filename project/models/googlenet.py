"""GoogLeNet."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from project.errors import UserError
from project.models.activation_checkpointing import checkpoint_blocks
from project.models.architecture import Architecture
from project.models.checks import check_pixels
from project.models.layers import ACTIVATIONS, POOLS, Activation, Pool, Stem, UnitRange
from project.models.pretrained import is_name

Act = Callable[[], nn.Module]


class BasicConv2d(nn.Module):
    """Convolution, batch norm, non-linearity."""

    def __init__(self, in_channels: int, out_channels: int, act: Act, **options) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four parallel branches with 1x1 reductions (Szegedy et al., 2015, figure 2b).

    The branch that is 5x5 in the paper is 3x3 here, as in torchvision and its published weights.

    Args:
        in_channels: Channels of the input.
        widths: Row of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
        act: Makes the non-linearity.
        pooling: Makes the pooling of the last branch.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, ...], act: Act, pooling: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        conv = partial(BasicConv2d, act=act)
        ch1x1, ch3x3_reduce, ch3x3, ch5x5_reduce, ch5x5, pool_proj = widths
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3_reduce, kernel_size=1),
            conv(ch3x3_reduce, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5_reduce, kernel_size=1),
            conv(ch5x5_reduce, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            pooling(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1
        )


class InceptionAux(nn.Module):
    """Auxiliary classifier on a feature map (Szegedy et al., 2015, section 5)."""

    def __init__(self, in_channels: int, num_classes: int, act: Act, dropout: float) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.conv = BasicConv2d(in_channels, 128, act, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.act = act()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.avgpool(x)).flatten(1)
        return self.fc2(self.dropout(self.act(self.fc1(x))))


class GoogLeNet(Architecture):
    """GoogLeNet (Szegedy et al., 2015, table 1) as torchvision has it, with batch norm.

    Weights start from a normal distribution with a standard deviation of 0.01, as torchvision's.

    Args:
        stem: ``small`` sees 28 to 64 pixels: a 3x3 convolution of stride 1, and no pooling before
            the Inceptions.
        aux_logits: Have the two auxiliary heads, which take part in the training loss alone, with
            weight 0.3.
        activation: Non-linearity after each layer.
        pool: Subsampling, and the fourth branch of an Inception.
        dropout: Probability of zeroing an input of the last layer in training.
        dropout_aux: The same in the auxiliary heads.
        transform_input: Bring images normalised as ImageNet's to [-1, 1], as the published weights
            want them; None for doing so with published ``weights``. Those from a file need it
            stated.
        activation_checkpointing: Store the activations between blocks only, and compute the others
            again in backward.
    """

    head_names = ("fc", "aux1", "aux2")

    def __init__(
        self,
        stem: Stem = "imagenet",
        aux_logits: bool = True,
        activation: Activation = "relu",
        pool: Pool = "max",
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        transform_input: bool | None = None,
        activation_checkpointing: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        act, pooling = ACTIVATIONS[activation], partial(POOLS[pool], ceil_mode=True)
        conv, inception = (
            partial(BasicConv2d, act=act),
            partial(Inception, act=act, pooling=pooling),
        )
        channels = self.input_shape[0]
        if stem == "imagenet":
            check_pixels(self, 15)
            self.conv1 = conv(channels, 64, kernel_size=7, stride=2, padding=3)
            self.maxpool1, self.maxpool2 = pooling(3, stride=2), pooling(3, stride=2)
        else:
            check_pixels(self, 2)
            self.conv1 = conv(channels, 64, kernel_size=3, padding=1)
            self.maxpool1, self.maxpool2 = nn.Identity(), nn.Identity()
        self.conv2, self.conv3 = (
            conv(64, 64, kernel_size=1),
            conv(64, 192, kernel_size=3, padding=1),
        )
        self.inception3a = inception(192, (64, 96, 128, 16, 32, 32))
        self.inception3b = inception(256, (128, 128, 192, 32, 96, 64))
        self.maxpool3 = pooling(3, stride=2)
        self.inception4a = inception(480, (192, 96, 208, 16, 48, 64))
        self.inception4b = inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = inception(528, (256, 160, 320, 32, 128, 128))
        self.maxpool4 = pooling(2, stride=2)
        self.inception5a = inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = inception(832, (384, 192, 384, 48, 128, 128))
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(dropout)
        self.fc = nn.Linear(1024, self.num_classes)
        self.aux_logits = aux_logits
        if aux_logits:
            self.aux1 = InceptionAux(512, self.num_classes, act, dropout_aux)
            self.aux2 = InceptionAux(528, self.num_classes, act, dropout_aux)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01)
        if activation_checkpointing:
            checkpoint_blocks(block for block in self.children() if isinstance(block, Inception))
        if transform_input is None and self.weights and not is_name(self.weights):
            raise UserError(
                "weights from a file need --model.transform_input, true if they are published"
            )
        transform_input = bool(self.weights) if transform_input is None else transform_input
        self.transform = UnitRange(channels) if transform_input else nn.Identity()
        self.initialize(torchvision_name="googlenet" if stem == "imagenet" else None)

    def early(self, x: Tensor) -> Tensor:
        """Feature map (N, 512, H, W) that the first auxiliary head sees."""
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(self.transform(x))))))
        return self.inception4a(self.maxpool3(self.inception3b(self.inception3a(x))))

    def middle(self, x: Tensor) -> Tensor:
        """Feature map (N, 528, H, W) that the second auxiliary head sees, from `early`'s."""
        return self.inception4d(self.inception4c(self.inception4b(x)))

    def late(self, x: Tensor) -> Tensor:
        """Channels (N, 1024), averaged over the image, from `middle`'s feature map."""
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        return self.avgpool(x).flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """Channels (N, 1024) of the last Inception, averaged over the image (N, C, H, W)."""
        return self.late(self.middle(self.early(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.fc(self.dropout(self.features(x)))

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        criterion = self.objective.training_criterion
        middle = self.middle(early := self.early(x))
        outputs = self.fc(self.dropout(self.late(middle)))
        loss = criterion(outputs, y)
        if self.aux_logits:
            aux = criterion(self.aux1(early), y) + criterion(self.aux2(middle), y)
            loss = loss + 0.3 * aux
        return loss, outputs
