"""`python -m project validate`: evaluate a run on the validation set."""

from typing import TYPE_CHECKING, Any

from project.cli.keys import add_checkpoint, add_explain
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, explaining, open_run

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint`` and ``--explain``."""
    add_checkpoint(parser)
    add_explain(parser)


def run(cli: "CLI") -> None:
    """Validate the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    cli.run = open_run(cli)
    cli.trainer = evaluation_trainer(cli, "validate", explaining(cli))
    print_summary(cli.run, cli.trainer, cli.evaluate("validate", cli.checkpoint))
