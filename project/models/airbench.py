"""The network of "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (Jordan, 2024)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.errors import UserError
from project.models.architecture import Architecture
from project.models.checks import check_pixels


class Block(nn.Module):
    """Two 3x3 convolutions, the first of them pooled (Jordan, 2024, section 3.1).

    Args:
        in_channels: Channels of the input.
        channels: Channels of the convolutions, which begin as the identity on the first
            ``in_channels``.
        residual: Add a third convolution, and a shortcut around the last two.
    """

    def __init__(self, in_channels: int, channels: int, residual: bool = False) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels)
        self.bn1 = norm(channels)
        self.conv2 = convolution(channels, channels)
        self.bn2 = norm(channels)
        self.residual = residual
        if residual:
            self.conv3 = convolution(channels, channels)
            self.bn3 = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        out = self.bn2(self.conv2(x))
        return F.gelu(x + self.bn3(self.conv3(F.gelu(out))) if self.residual else out)


def convolution(in_channels: int, channels: int) -> nn.Conv2d:
    """A convolution that begins as the identity on ``in_channels`` (Jordan, 2024, section 3.3)."""
    layer = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:in_channels])
    return layer


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm that keeps a short memory, and whose scale does not train."""
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


class Airbench(Architecture):
    """A small convolutional network that is trained in about ten epochs (Jordan, 2024).

    Its first layer whitens patches of pixels: at the first batch it is given the eigenvectors of
    the covariance of that batch's patches, and stays as it is but for its bias.

    Args:
        widths: Channels of the blocks, each of which halves height and width.
        patch: Side of the patches in pixels.
        stride: Of the patches; the paper's overlap, and patches of 4 pixels with a stride of 4 are
            for larger images.
        residual: Give each block a third convolution and a shortcut, as the paper's airbench96 has
            them.
        whiten_eps: Added to the variances that the first layer divides by: those far below it stay
            small, such as what compression and resizing leave in photographs.
        whiten_epochs: For which the bias of the first layer trains.
        bias_lr: Factor of the learning rate of the norms' biases; their weight decay is divided by
            it.
        translate_tta: Evaluate by the mean over the image, which counts half, and two that are
            moved by a pixel (section 3.5, with ``flip_tta``).
    """

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (64, 256, 256),
        patch: int = 2,
        stride: int = 1,
        residual: bool = False,
        whiten_eps: float = 5e-4,
        whiten_epochs: int = 3,
        bias_lr: float = 64.0,
        translate_tta: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_pixels(self, stride * (3 * 2 ** len(widths) - 1) + patch)
        if whiten_eps <= 0:
            raise UserError(f"whiten_eps {whiten_eps} must be positive")
        values = self.input_shape[0] * patch**2
        self.whiten_epochs, self.bias_lr = whiten_epochs, bias_lr
        self.translate_tta = translate_tta
        self.whiten_options = (patch, stride, whiten_eps)
        self.whiten = nn.Conv2d(self.input_shape[0], 2 * values, patch, stride)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.get_parameter("bias"))
        ins = (self.whiten.out_channels, *widths)
        self.blocks = nn.Sequential(
            *(Block(i, o, residual) for i, o in zip(ins, widths, strict=False))
        )
        self.head = nn.Linear(widths[-1], self.num_classes, bias=False)
        self.initialize()

    def features(self, x: Tensor) -> Tensor:
        """Channels (N, D) of the last block, with their maximum over the image (N, C, H, W)."""
        return self.blocks(F.gelu(self.whiten(x))).amax((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.head(self.features(x)) / 9

    def eval_outputs(self, x: Tensor) -> Tensor:
        outputs = super().eval_outputs(x)
        if not self.translate_tta:
            return outputs
        height, width = x.shape[2:]
        padded = F.pad(x, [1] * 4, mode="reflect")
        moved = super().eval_outputs(padded[:, :, :height, :width]) + super().eval_outputs(
            padded[:, :, 2:, 2:]
        )
        return outputs / 2 + moved / 4

    # ---------------------------------------------------------------- training

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        if self.current_epoch == batch_idx == 0 and not self.weights:
            self.whiten.weight.data.copy_(
                self.trainer.strategy.broadcast(whitening(batch[0], *self.whiten_options).cpu())
            )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The norms' biases have a rate and a weight decay of their own (section 3.4)."""
        weights, biases = super().parameter_groups()
        bias = self.whiten.get_parameter("bias")  # belongs to no norm: it trains as weights do
        weights["params"] += [p for p in biases["params"] if p is bias]
        norms = [p for p in biases["params"] if p is not bias]
        scales = {"lr_scale": self.bias_lr, "weight_decay_scale": 1 / self.bias_lr}
        return [weights, {"params": norms, **scales}]

    def on_after_backward(self) -> None:
        if self.current_epoch >= self.whiten_epochs:
            self.whiten.get_parameter("bias").grad = None  # optimisers pass over it


def whitening(x: Tensor, patch: int = 2, stride: int = 1, eps: float = 5e-4) -> Tensor:
    """Kernels (2 * D, C, patch, patch) that whiten patches of ``x`` (N, C, H, W); D is C * patch^2.

    The first D are the eigenvectors of the patches' covariance, and the others the negatives of
    these (section 3.2).
    """
    windows = x.unfold(2, patch, stride).unfold(3, patch, stride).permute(0, 2, 3, 1, 4, 5)
    patches = windows.flatten(3).flatten(0, 2).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    kernels = (vectors / (values + eps).sqrt()).T.flip(0).reshape(-1, x.shape[1], patch, patch)
    return torch.cat([kernels, -kernels]).to(x)
