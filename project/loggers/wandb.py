"""Where numbers go: metrics.csv, and Weights & Biases."""

import hashlib
import logging
import netrc
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from project.run.folder import Run, shown

log = logging.getLogger(__name__)


class WandB(WandbLogger):
    """Lightning's WandbLogger, bound to a run folder, that neither prompts nor needs an account or a network.

    Args:
        run: Gives the run's id, name, group and folder.
        project: Name of the project in W&B.
        entity: W&B user or team.
        tags: Of the W&B run.
        mode: As `resolve_mode` gives it; in a config, ``auto`` is online if W&B's credentials are
            there, else offline.
        log_model: Upload the best checkpoint when `fit` ends, as an artifact with the aliases
            ``best`` and its step.
        watch: Log histograms of these as often as numbers; None for none.
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
        """The W&B run; offline if its server does not answer."""
        if self._experiment is None:
            import wandb

            options = {"console": "off", "silent": True, "init_timeout": 30, "finish_timeout": 300}
            self._wandb_init["settings"] = wandb.Settings(**options)
            try:
                super().experiment  # noqa: B018, the property makes it
            except wandb.Error as error:
                log.info(f"W&B is not reachable ({str(error).splitlines()[0]}): logging offline")
                self._wandb_init["mode"] = "offline"
                super().experiment  # noqa: B018
        return self._experiment

    @property
    def where(self) -> str:
        """The page of the run, or the command that uploads it."""
        run = self.experiment
        return f"wandb sync {shown(Path(run.dir).parent)}" if run.offline else run.url

    @rank_zero_only
    def summarise(self, values: dict[str, float]) -> None:
        """Set values of the W&B run's summary."""
        self.experiment.summary.update(values)

    @rank_zero_only
    def log_checkpoint(self, path: Path, step: int, result: Mapping[str, float]) -> None:
        """Upload a checkpoint as an artifact, with its metrics; does nothing unless ``log_model`` is set."""
        if self.logs_model:
            import wandb

            artifact = wandb.Artifact(
                f"model-{self.experiment.id}", "model", metadata={**result, "step": step}
            )
            artifact.add_file(str(path), name=path.name)
            self.experiment.log_artifact(artifact, aliases=["best", f"step-{step}"])

    @rank_zero_only
    def log_samples(
        self, name: str, images: Tensor, probabilities: Tensor, y: Tensor, names: Sequence[str]
    ) -> None:
        """A table of images (N, C, H, W) in [0, 1] with their true and likeliest class, from probabilities (N, K)."""
        import wandb

        table = wandb.Table(["image", "true", "predicted", "confidence"])
        for image, p, k in zip(images, probabilities, y.tolist(), strict=True):
            picture = wandb.Image((image * 255).round().byte().permute(1, 2, 0).squeeze(2).numpy())
            table.add_data(picture, names[k], names[int(p.argmax())], float(p.max()))
        self.experiment.log({f"tables/{name}": table})

    @rank_zero_only
    def log_confusion(
        self, split: str, true: list[int], predicted: list[int], names: Sequence[str]
    ) -> None:
        """An interactive confusion matrix, where there are few enough classes to read one."""
        if len(names) <= 100:
            import wandb

            chart = wandb.plot.confusion_matrix(
                y_true=true, preds=predicted, class_names=list(names)
            )
            self.experiment.log({f"confusion_matrix/{split}": chart})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Leave the W&B run open: pictures and the summary follow; `close` ends it."""

    @rank_zero_only
    def close(self, exit_code: int = 0) -> None:
        """Upload what is left and end the W&B run."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
            self._experiment = None


def as_id(name: str, most: int = 64) -> str:
    """A name of as many characters as W&B takes in an id, and of those it takes in artifacts' names, which begin so.

    No two long names become the same.
    """
    plain = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
    return (
        plain
        if len(plain) <= most
        else f"{plain[: most - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )


def resolve_mode(mode: str) -> str:
    """``auto`` to online or offline: what WANDB_MODE says, else whether there are credentials and a server."""
    mode = os.environ.get("WANDB_MODE", "auto") if mode == "auto" else mode
    if mode not in ("auto", "online"):
        return mode
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    if mode == "auto" and not has_credentials(server.hostname or ""):
        log.info("W&B: no credentials found, so this run is logged offline")
        return "offline"
    if any(
        name in os.environ for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
    ):
        return "online"  # a proxy's machine may have no way of its own
    try:
        port = server.port or (80 if server.scheme == "http" else 443)
        socket.create_connection((server.hostname, port), timeout=5).close()
    except OSError as error:
        log.info(f"W&B: {server.hostname} does not answer ({error}), so this run is logged offline")
        return "offline"
    return "online"


def has_credentials(host: str) -> bool:
    """Whether W&B would find an API key without asking for one."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
