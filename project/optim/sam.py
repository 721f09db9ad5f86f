"""SAM: the gradient of the greatest loss nearby, for any optimiser."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import SGD, Optimizer

from project.errors import UserError


class SAM(Optimizer):
    """Sharpness-aware minimisation (Foret et al., 2021): two forward and backward passes a step.

    The first pass gives a gradient, along which the weights move by ``rho``; the optimiser takes
    the gradient there, from the weights as they were. Both passes see the same batch, augmentation
    and dropout. Running statistics of batch norms see both, and metrics the first.

    Args:
        params: Parameters or groups of them.
        base_optimizer: Takes the step, with its own arguments.
        rho: Length of the move.
        adaptive: Scale the move of each weight by its size (Kwon et al., 2021).
    """

    def __init__(
        self,
        params: Any,
        base_optimizer: Callable[[Iterable], Optimizer] = SGD,
        rho: float = 0.05,
        adaptive: bool = False,
    ) -> None:
        if rho < 0:
            raise UserError(f"rho is {rho}, but it must not be negative")
        self.base, self.rho, self.adaptive = base_optimizer(params), rho, adaptive
        super().__init__(self.base.param_groups, self.base.defaults)
        self.share()

    def share(self) -> None:
        """Have the base optimiser's groups and state as one's own, so that both are saved."""
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.base.load_state_dict(state_dict)
        self.share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; ``closure`` computes the gradients and gives the loss."""
        if closure is None:
            raise UserError("SAM computes the gradients itself: use another --trainer.precision")
        params = [p for group in self.param_groups for p in group["params"]]
        devices = {p.device for p in params if p.is_cuda}
        with torch.enable_grad(), torch.random.fork_rng(list(devices)):
            loss = closure()
        params = [p for p in params if p.grad is not None]
        moves = [p.grad * p.square() if self.adaptive else p.grad for p in params]
        sizes = [p.abs() * p.grad if self.adaptive else p.grad for p in params]
        before = [p.clone() for p in params]
        scale = self.rho / (torch.stack(torch._foreach_norm(sizes)).norm() + 1e-12)
        torch._foreach_add_(params, torch._foreach_mul(moves, scale))
        with torch.enable_grad():
            closure()
        torch._foreach_copy_(params, before)
        self.base.step()
        return loss
