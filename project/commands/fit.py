"""`python -m project fit`: train a model from a config, or go on with a run."""

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from project import callbacks
from project.analysis.run_result import RunResult
from project.cli.summary import (
    limit_reached,
    print_summary,
    refuse_nothing_to_train,
    warn_without_end,
)
from project.cli.trainer import finder_trainer, fit_trainer, open_run
from project.loggers.wandb import WandB
from project.run import speedups
from project.run.checkpoint_io import loaded_step, newest_good
from project.run.folder import Run
from project.run.provenance import record_outcome

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--speedups``, and ``--find`` unless the module behind it was taken out."""
    parser.add_argument(
        "--speedups", type=bool, default=True, help="Patch Lightning, which makes steps faster."
    )
    if find_spec("project.commands.tune"):
        parser.add_argument(
            "--find",
            type=Literal["lr", "batch_size"] | None,
            help="Find a learning rate or batch size, and train nothing.",
        )


def run(cli: "CLI") -> None:
    """Train, and validate the best checkpoint at the end."""
    to_resume = cli.arguments.run.to_resume if cli.arguments.run else []
    cli.build(pretrained=not any(path.exists() for path in to_resume))
    what = cli.config.get("find")
    cli.run = open_run(cli, f"-find_{what}" if what else "")
    if what:
        from project.commands.tune import find

        cli.trainer = finder_trainer(cli)
        with speedups.applied(cli.trainer, cli.config.speedups):
            rows = find(what, cli.run, cli.trainer, cli.model, cli.datamodule)
        print_summary(cli.run, cli.trainer, rows)
    else:
        train(cli)


def train(cli: "CLI") -> None:
    """Train from the newest checkpoint of the run, if there is one."""
    resume = callbacks.Resume(cli.run)
    trainer = cli.trainer = fit_trainer(cli, resume)
    refuse_nothing_to_train(trainer)
    warn_without_end(trainer)
    checkpoint = newest_good(cli.run.to_resume)
    start = time.monotonic()
    path = checkpoint and str(checkpoint)
    with speedups.applied(trainer, cli.config.speedups):
        trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=path, weights_only=True)
    trained = f"{trainer.current_epoch} epochs, {trainer.global_step} steps"
    if checkpoint and trainer.global_step == loaded_step(trainer):
        limit = limit_reached(trainer, resume.stopped_early)
        rows = {"trained": f"{trained} before: complete, so nothing was done ({limit})"}
    else:
        seconds = time_trained(cli.run, time.monotonic() - start, resumed=checkpoint is not None)
        rows = {"trained": f"{trained}, {seconds}"}
    best = cli.run.checkpoint("best")
    if best.exists() and not trainer.fast_dev_run:
        rows |= validate_best(cli)
    print_summary(cli.run, trainer, rows, then="test" if best.exists() else None)


def time_trained(run: Run, seconds: float, resumed: bool) -> str:
    """The time of training of all sessions of a run, where it is known of the earlier ones.

    Args:
        run: The run, whose training has ended.
        seconds: Time of this session.
        resumed: Whether it began from a checkpoint of an earlier session.
    """
    earlier = RunResult(run).environments[:-1]
    if not resumed or not earlier:
        return f"{seconds:.1f} s"
    if not all("seconds" in part for part in earlier):
        return f"{seconds:.1f} s in this session"
    total = sum(part["seconds"] for part in earlier) + seconds
    return f"{total:.1f} s, of which {seconds:.1f} s in this session"


def validate_best(cli: "CLI") -> dict[str, str]:
    """Validate the best checkpoint, record its metrics, and give a row for the summary."""
    trainer, best = cli.trainer, cli.run.checkpoint("best")
    steps = trainer.global_step
    row = cli.evaluate("validate", best)
    for logger in trainer.loggers:
        if isinstance(logger, WandB):
            logger.summarise({f"best/{name}": value for name, value in cli.result.items()})
            logger.log_checkpoint(best, loaded_step(trainer), cli.result)
    if trainer.is_global_zero:
        record_outcome(cli.run, steps, {"step": loaded_step(trainer), **cli.result})
    return row
