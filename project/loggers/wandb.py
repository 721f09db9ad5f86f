"""The logger for Weights & Biases."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from project.loggers.wandb_setup import as_id, has_credentials
from project.run.folder import Run, shown

log = logging.getLogger(__name__)


class WandB(WandbLogger):
    """Lightning's WandbLogger for a run's folder, which needs no prompt, account or network.

    Args:
        run: The run, whose id, name, group and folder W&B takes.
        project: Name of the project in W&B.
        entity: User or team in W&B.
        tags: Tags of the W&B run.
        mode: One of W&B's modes; in a config, ``auto`` is online if there are credentials for W&B,
            else offline.
        log_model: Whether to upload the best checkpoint when `fit` ends, as an artifact with the
            aliases ``best`` and its step.
        watch: Tensors whose histograms are logged as often as metrics; None for none.
    """

    def __init__(
        self,
        run: Run,
        project: str = "image-classification",
        entity: str | None = None,
        tags: tuple[str, ...] = (),
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        log_model: bool = False,
        watch: Literal["gradients", "parameters", "all"] | None = None,
    ) -> None:
        self.run, self.logs_model, self.watched = run, log_model, watch
        self._experiment: Any
        super().__init__(
            name=f"{run.experiment}/{run.id}",
            id=as_id(f"{run.experiment}-{run.id}"),
            group=run.group,
            save_dir=run.folder,
            project=project,
            entity=entity,
            tags=list(tags),
            mode=mode,
        )
        self._wandb_init.pop("anonymous", None)  # Lightning still passes it, and W&B warns of it

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, which is offline if W&B's server does not answer."""
        if self._experiment is None:
            import wandb

            options = {"console": "off", "silent": True, "init_timeout": 30, "finish_timeout": 300}
            self._wandb_init["settings"] = wandb.Settings(**options)
            try:
                super().experiment  # noqa: B018, reading it starts the run
            except wandb.Error as error:
                log.info(f"W&B is not reachable ({str(error).splitlines()[0]}): logging offline")
                self._wandb_init["mode"] = "offline"
                super().experiment  # noqa: B018
        return self._experiment

    @property
    def where(self) -> str:
        """The address of the run's page, or the command that uploads all its offline sessions."""
        run = self.experiment
        if not run.offline:
            return str(run.url)
        folder = Path(run.dir).parent
        several = len(list(folder.parent.glob("offline-run-*"))) > 1
        command = f"wandb sync {shown(folder.with_name('offline-run-*') if several else folder)}"
        return command + ("" if has_credentials() else " (to log online: wandb login)")

    @rank_zero_only
    def summarise(self, values: dict[str, float]) -> None:
        """Set values in the summary of the W&B run."""
        self.experiment.summary.update(values)

    @rank_zero_only
    def log_checkpoint(self, path: Path, step: int, result: Mapping[str, float]) -> None:
        """Upload a checkpoint and its metrics as an artifact, if ``log_model`` is set."""
        if self.logs_model:
            import wandb

            name, metadata = f"model-{self.experiment.id}", {**result, "step": step}
            artifact = wandb.Artifact(name, "model", metadata=metadata)
            add = artifact.add_dir if path.is_dir() else artifact.add_file
            add(str(path), name=path.name)
            self.experiment.log_artifact(artifact, aliases=["best", f"step-{step}"])

    @rank_zero_only
    def watch_model(self, model: nn.Module, every_n_steps: int) -> None:
        """Log the histograms that ``watch`` asks for, if any."""
        if self.watched:
            self.watch(model, log=self.watched, log_freq=every_n_steps, log_graph=False)

    @rank_zero_only
    def log_samples(
        self, name: str, images: Tensor, probabilities: Tensor, y: Tensor, names: Sequence[str]
    ) -> None:
        """Log a table of images with their true and likeliest class.

        Args:
            name: Name of the table.
            images: Images (N, C, H, W) in [0, 1].
            probabilities: Class probabilities (N, K).
            y: True classes (N,).
            names: Names of the K classes.
        """
        import wandb

        table = wandb.Table(["image", "true", "predicted", "confidence"])
        for image, p, k in zip(images, probabilities, y.tolist(), strict=True):
            pixels = (image * 255).round().byte().permute(1, 2, 0).squeeze(2).numpy()
            table.add_data(wandb.Image(pixels), names[k], names[int(p.argmax())], float(p.max()))
        self.experiment.log({f"tables/{name}": table})

    @rank_zero_only
    def log_confusion(
        self, split: str, true: list[int], predicted: list[int], names: Sequence[str]
    ) -> None:
        """Log an interactive confusion matrix, unless there are too many classes to read one."""
        if len(names) <= 100:
            import wandb

            labels = {"y_true": true, "preds": predicted, "class_names": list(names)}
            chart = wandb.plot.confusion_matrix(**labels)
            self.experiment.log({f"confusion_matrix/{split}": chart})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Leave the W&B run open until `close`, since figures and the summary follow."""

    @rank_zero_only
    def close(self, exit_code: int = 0) -> None:
        """Upload the rest and end the W&B run."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
            self._experiment = None
