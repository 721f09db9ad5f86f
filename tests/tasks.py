"""Four trainings that are no classification: each is all that its user writes."""

import math
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.models import MLP, Task


class Autoencoder(Task):
    """Images through a narrow layer and back (Hinton & Salakhutdinov, 2006)."""

    def __init__(self, *, input_shape: tuple[int, ...], width: int = 16, **kwargs) -> None:
        super().__init__(**kwargs)
        pixels = math.prod(input_shape)
        self.encoder = MLP(num_classes=width, input_shape=input_shape, hidden=(64,), dropout=0.1)
        self.decoder = MLP(num_classes=pixels, input_shape=(width,), hidden=(64,))

    def training_loss(self, batch):
        x, _ = batch
        restored = self.decoder(self.encoder(x)).view_as(x)
        return F.mse_loss(restored, x), {"mae": (restored - x).abs().flatten(1).mean(1)}

    def evaluate(self, batch, metrics):
        metrics["loss"].update(self.training_loss(batch)[0], len(batch[0]))


class SimCLR(Task):
    """Two views of an image attract each other, and repel all others (Chen et al., 2020)."""

    def __init__(self, *, input_shape: tuple[int, ...], temperature: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature
        from project.models import ResNet

        self.network = ResNet(num_classes=1, input_shape=input_shape, stem="small")
        width = self.network.fc.in_features
        self.projection = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 32))

    def view(self, x: Tensor) -> Tensor:
        """A random shift of each batch by a pixel, with noise."""
        shift = torch.randint(-1, 2, (2,)).tolist()
        return x.roll(shift, (2, 3)) + 0.1 * torch.randn_like(x)

    def training_loss(self, batch):
        x, _ = batch
        views = torch.cat([self.view(x), self.view(x)])
        z = F.normalize(self.projection(self.network.features(views)))
        similarity = (z @ z.T / self.temperature).fill_diagonal_(-torch.inf)
        partner = torch.arange(len(z), device=z.device).roll(len(x))
        return F.cross_entropy(similarity, partner), {"acc": similarity.argmax(1) == partner}

    def evaluate(self, batch, metrics):
        metrics["loss"].update(self.training_loss(batch)[0], len(batch[0]))


class GAN(L.LightningModule):
    """A generator and a discriminator, each with its optimiser (Goodfellow et al., 2014)."""

    def __init__(self, input_shape: tuple[int, ...], noise: int = 16, lr: float = 2e-4) -> None:
        super().__init__()
        self.automatic_optimization, self.noise, self.lr = False, noise, lr
        pixels = math.prod(input_shape)
        self.generator = MLP(num_classes=pixels, input_shape=(noise,), hidden=(64,))
        self.discriminator = MLP(num_classes=1, input_shape=(pixels,), hidden=(64,), dropout=0.2)

    def configure_optimizers(self):
        parts = (self.generator, self.discriminator)
        return [torch.optim.Adam(part.parameters(), self.lr, betas=(0.5, 0.999)) for part in parts]

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fake = self.generator(torch.randn(len(x), self.noise, device=self.device))
        real, false = self.discriminator(x), self.discriminator(fake.detach())
        return F.softplus(-self.discriminator(fake)).mean(), (
            F.softplus(-real).mean() + F.softplus(false).mean()
        )

    def training_step(self, batch, batch_idx):
        losses = self.losses(batch[0])
        for optimizer, loss, name in zip(self.optimizers(), losses, ("g", "d"), strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.log(f"train/{name}_loss", loss)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.losses(batch[0])[1], batch_size=len(batch[0]))

    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.losses(batch[0])[1], batch_size=len(batch[0]))


class Distillation(MLP):
    """Learns the outputs of a run's best checkpoint (Hinton, Vinyals & Dean, 2015).

    It takes k optimiser steps on each batch, for which the teacher looks at the batch once.
    """

    def __init__(self, teacher: str, k: int = 2, temperature: float = 4.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.automatic_optimization, self.k, self.temperature = False, k, temperature
        checkpoint = Path(teacher) / "checkpoints" / "best.ckpt"
        self.__dict__["teacher"] = MLP.load_from_checkpoint(checkpoint).eval()  # no part of it

    def training_step(self, batch, batch_idx):
        x, _ = batch
        with torch.no_grad():
            targets = (self.teacher(x) / self.temperature).softmax(1)
        optimizer = self.optimizers()
        for _ in range(self.k):
            loss = F.cross_entropy(self(x) / self.temperature, targets)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.record({"loss": loss}, batch_idx)
