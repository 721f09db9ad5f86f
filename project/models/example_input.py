"""The example that Lightning's summary gives a network, to count its operations."""

from typing import Any

import lightning as L


class ExampleInput(L.LightningModule):
    """Keeps the example, which has no targets, from the hooks that datasets have for batches."""

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        if batch is self.example_input_array:
            return batch
        return super()._on_before_batch_transfer(batch, dataloader_idx)

    def _apply_batch_transfer_handler(
        self, batch: Any, device: Any = None, dataloader_idx: int = 0
    ) -> Any:
        if batch is self.example_input_array:
            return batch.to(device or self.device)
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)
