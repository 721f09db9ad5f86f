"""Training in which each process keeps a part of the model: ``--trainer.strategy fsdp2``."""

from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy, StrategyRegistry
from torch import nn

from project.errors import UserError
from project.run.sharded_checkpoint import each_shard, save_shards

NEVER_CALLED = (nn.Sequential, nn.ModuleList, nn.ModuleDict, L.LightningModule)


class FSDP2Strategy(DDPStrategy):
    """Fully sharded data parallel training (Zhao et al., 2023) by ``torch.distributed.fsdp``.

    It trains to the weights of DDP, but each process keeps a part of every parameter, gradient and
    optimiser state, and gathers the whole of a block when it computes with it. Loading a
    checkpoint, and saving a full one, need memory for the whole model on the CPU.

    Args:
        block_size: A module that consists of others is a block if it has so many parameters
            outside of smaller blocks. What remains is one block more.
        state_dict_type: Whether a checkpoint is one ``full`` file, like that of any other strategy,
            or a ``sharded`` folder to which each process writes its part.
        **kwargs: Arguments of ``DDPStrategy``, such as timeout.
    """

    def __init__(
        self,
        block_size: int = 1_000_000,
        state_dict_type: Literal["full", "sharded"] = "full",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.block_size, self.full = block_size, state_dict_type == "full"
        self.whole: Whole | None = None

    def setup(self, trainer: Any) -> None:
        assert self.lightning_module is not None
        if not self.lightning_module.automatic_optimization:
            raise UserError(
                "--trainer.strategy fsdp2 needs automatic optimisation: use ddp for this task"
            )
        if not all(p.is_contiguous() for p in self.lightning_module.parameters()):
            raise UserError("fsdp2 needs contiguous parameters: give --model.channels_last false")
        Strategy.setup(self, trainer)

    def _setup_model(self, model: nn.Module) -> "Whole":
        """Give each process its part of the model, unless it has that from training."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        if self.whole is None or self.whole.module is not model:
            for tensor in model.state_dict().values():  # all begin with the first one's, as in DDP
                torch.distributed.broadcast(tensor, src=0)
            self.whole = Whole(model)
            mesh = init_device_mesh(self.root_device.type, (self.world_size,))
            for block in [*blocks(model, self.block_size), self.whole]:
                fully_shard(block, mesh=mesh)
        return self.whole

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        broadcast_buffers(self.whole)
        return super().training_step(*args, **kwargs)

    def state(self, tree: Any) -> Any:
        """What a checkpoint has of a state: all of it in the first process, or each one's part."""
        if not self.full:
            return tree
        whole = each_shard(tree, lambda shard: shard.full_tensor().cpu())
        return whole if self.is_global_zero else {}

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return self.state(super().lightning_module_state_dict())

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        return self.state(super().optimizer_state(optimizer))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None
    ) -> None:
        if self.full:
            super().save_checkpoint(checkpoint, filepath, storage_options)
        else:
            save_shards(checkpoint, Path(filepath), self.global_rank, self.world_size, self.barrier)

    def load_model_state_dict(self, checkpoint: Any, strict: bool = True) -> None:
        now = super().lightning_module_state_dict()
        state = {name: like(now.get(name), x) for name, x in checkpoint["state_dict"].items()}
        super().load_model_state_dict({"state_dict": state}, strict)

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        states = []
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=False):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                index: {name: like(parameters[index], value) for name, value in values.items()}
                for index, values in saved["state"].items()
            }
            states.append({**saved, "state": state})
        super().load_optimizer_state_dict({"optimizer_states": states})


class Whole(nn.Module):
    """Calls a module; Lightning lets each step of training and evaluation go through this."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


def blocks(module: nn.Module, size: int) -> list[nn.Module]:
    """Modules below this one whose parameters are gathered at once, inner ones first.

    What is never called itself is no block: a container, and a network inside of a task.
    """
    found: list[nn.Module] = []

    def visit(module: nn.Module) -> int:
        children = list(module.children())
        outside = sum(p.numel() for p in module.parameters(recurse=False))
        outside += sum(map(visit, children))
        if outside < size or not children or isinstance(module, NEVER_CALLED):
            return outside
        found.append(module)
        return 0

    visit(module)
    return found


def broadcast_buffers(module: nn.Module | None) -> None:
    """Give all processes the first one's means and variances of batch norm, as DDP does."""
    assert module is not None
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if buffers:
        values = nn.utils.parameters_to_vector(buffers)
        torch.distributed.broadcast(values, src=0)
        for buffer, value in zip(buffers, values.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(value.view_as(buffer))  # which keeps its dtype


def like(target: Any, value: Any) -> Any:
    """This process's part of a value, where a target of the same shape has only a part."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(target, DTensor) or getattr(value, "shape", None) != target.shape:
        return value
    value, mesh = value.to(target.device), target.device_mesh
    return distribute_tensor(value, mesh, target.placements, src_data_rank=None)


StrategyRegistry.register("fsdp2", FSDP2Strategy, description="FSDP2, with full checkpoints")
