"""`Adapter`: base of networks that another library defines."""

from typing import Any

import torch
from torch import Tensor, nn

from project.errors import UserError
from project.models.architecture import Architecture
from project.models.pretrained import load_weights, read_weights

PREFIX = "network."


class Adapter(Architecture):
    """A network of another library; the constructor of a subclass makes `network` and `head_names`.

    Its state dict is the library's with ``network.`` before each name, and ``weights`` may be the
    path of a file of either kind.

    Args:
        name: The library's name of the network.
        options: Further arguments of the library's function that makes the network.
        **kwargs: The arguments of `Architecture`.
    """

    network: nn.Module

    def __init__(self, name: str, options: dict[str, Any] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name, self.options = name, dict(options or {})

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for images (N, C, H, W)."""
        return self.network(x)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees (N, D) of images (N, C, H, W).

        Feature maps, where the last layer is a convolution, are averaged over the image.
        """
        seen: list[Tensor] = []
        last = self.get_submodule(self.head_names[0])
        with last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            self.network(x)
        return seen[0].mean((2, 3)) if seen[0].ndim == 4 else seen[0]

    def check_images(self) -> None:
        """Raise UserError if the network cannot see images of this size, such as too small ones."""
        x = torch.zeros(1, *self.input_shape, device=next(self.network.parameters()).device)
        try:
            with torch.no_grad():
                self.network.eval()(x)
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            size, reason = "x".join(map(str, self.input_shape[1:])), " ".join(str(error).split())
            raise UserError(
                f"{self.name} cannot see images of {size} pixels ({reason}): choose another "
                "--model.name, or images of another size"
            ) from None

    def load_pretrained(self, weights: str) -> None:
        state = self.renamed(read_weights(weights, self.torchvision_name, self.name))
        if all(name.startswith(PREFIX) for name in state):
            state = {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
        heads = tuple(head.removeprefix(PREFIX) for head in self.head_names)
        load_weights(self.network, state, heads, weights)

    def published_state(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state dict that was read, with today's names of the library."""
        return state


def replace_first_convolution(network: nn.Module, channels: int) -> None:
    """Give a network a first convolution for images of ``channels``, if it has another one."""
    name, old = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if old.in_channels == channels:
        return
    options: Any = {key: getattr(old, key) for key in ("kernel_size", "stride", "padding")}
    new = nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **options)
    with torch.no_grad():
        new.weight.normal_().mul_(old.weight.std())
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    network.set_submodule(name, new)
