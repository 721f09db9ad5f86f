"""Muon: steps of orthogonal matrices, with AdamW for everything that is no hidden matrix."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from project.errors import UserError
from project.optim.newton_schulz import newton_schulz


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter, flattened to (outputs, inputs), has several rows and columns."""
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) > 1


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal (Jordan, 2024), on matrices and on kernels.

    https://kellerjordan.github.io/posts/muon. It equals ``torch.optim.Muon`` on matrices; a kernel
    (C_out, C_in, H, W) counts as a matrix (C_out, C_in * H * W). AdamW trains biases, norms and
    other vectors, and the groups with ``use_muon`` False: a network here puts its first layer, its
    heads and all embeddings there, as the source advises.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate of matrices and kernels.
        weight_decay: Decoupled weight decay, as in AdamW.
        momentum: Momentum of matrices and kernels.
        nesterov: Whether a step looks ahead along the momentum.
        ns_steps: Iterations of Newton and Schulz.
        adjust_lr_fn: How the shape scales a step: ``original`` by the root of rows over columns if
            that is above one; ``match_rms_adamw`` to the size of AdamW's steps (Liu et al., 2025).
        adamw_lr: Learning rate of AdamW.
        betas: AdamW's running averages.
        eps: AdamW's term in the denominator.
        fused: Whether AdamW uses its fused kernel.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.02,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original",
        adamw_lr: float = 0.003,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        fused: bool | None = None,
    ) -> None:
        options = {k: v for k, v in locals().items() if k not in ("self", "params", "__class__")}
        for name in ("lr", "weight_decay", "momentum", "ns_steps", "adamw_lr", "eps"):
            if options[name] < 0:
                raise UserError(f"{name} is {options[name]}, but it must not be negative")
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as two if it has both matrices for Muon and other parameters."""
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        wanted = param_group.get("use_muon", True)
        parts: dict[bool, list[Tensor]] = {}
        for parameter in params:
            parts.setdefault(wanted and is_matrix(parameter), []).append(parameter)
        for use_muon, part in sorted(parts.items(), reverse=True) or [(wanted, [])]:
            rate = self.defaults["lr" if use_muon else "adamw_lr"]
            group = {"lr": rate, **param_group, "params": part, "use_muon": use_muon}
            super().add_param_group(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; ``closure`` computes the gradients and gives the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if group["use_muon"]:
                for parameter in params:
                    self.muon_step(parameter, group)
            elif params:
                self.adamw_step(params, group)
        return loss

    def muon_step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Move a matrix (M, N) or a kernel (C_out, C_in, H, W)."""
        grad, state, momentum = parameter.grad, self.state[parameter], group["momentum"]
        assert grad is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer = state["momentum_buffer"].lerp_(grad, 1 - momentum)
        update = (grad.lerp(buffer, momentum) if group["nesterov"] else buffer).flatten(1)
        rows, columns = update.shape
        original = group["adjust_lr_fn"] == "original"
        scale = (
            math.sqrt(max(1, rows / columns)) if original else 0.2 * math.sqrt(max(rows, columns))
        )
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        orthogonal = newton_schulz(update, group["ns_steps"]).reshape(parameter.shape)
        parameter.add_(orthogonal, alpha=-group["lr"] * scale)

    def adamw_step(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Move parameters by AdamW (Loshchilov & Hutter, 2019)."""
        for parameter in params:
            if not self.state[parameter]:
                device = parameter.device if group["fused"] else "cpu"
                self.state[parameter] = {
                    "step": torch.zeros((), device=device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in params]
        adamw(
            params,
            [p.grad for p in params if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
