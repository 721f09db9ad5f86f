"""`python -m project test`: evaluate a run on the test set."""

from typing import TYPE_CHECKING, Any

from project import callbacks
from project.cli.keys import add_checkpoint, add_explain
from project.cli.summary import print_summary, print_worst_classes
from project.cli.trainer import evaluation_trainer, explaining, open_run
from project.run.checkpoint_io import loaded_step
from project.run.folder import shown

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint`` and ``--explain``."""
    add_checkpoint(parser)
    add_explain(parser)


def run(cli: "CLI") -> None:
    """Test the checkpoint that ``--checkpoint`` names, and count the uses of the test set."""
    cli.build(pretrained=False)
    cli.run = open_run(cli)
    test_log = callbacks.TestLog(cli.run, cli.checkpoint)
    trainer = cli.trainer = evaluation_trainer(cli, "test", [test_log, *explaining(cli)])
    rows = cli.evaluate("test", cli.checkpoint)
    if trainer.is_global_zero:
        count = test_log.num_test_evaluations
        rows["test set"] = f"evaluated on {count} time(s), with this one"
        table = cli.run.class_scores("test")
        if table.exists():
            print_worst_classes(table)
            rows["each class"] = shown(table)
    for logger in trainer.loggers:
        logger.log_metrics(cli.result, loaded_step(trainer) - 1)  # steps are logged from 0 on
        logger.save()
    print_summary(cli.run, trainer, rows)
