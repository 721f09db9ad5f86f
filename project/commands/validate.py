"""`python -m project validate`: evaluate a run on the validation set."""

from typing import TYPE_CHECKING

from project.cli.keys import add_checkpoint as add_arguments
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, open_run

if TYPE_CHECKING:
    from project.cli.main import CLI

__all__ = ["add_arguments", "run"]


def run(cli: "CLI") -> None:
    """Validate the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    cli.run = open_run(cli)
    cli.trainer = evaluation_trainer(cli, "validate")
    print_summary(cli.run, cli.trainer, cli.evaluate("validate", cli.checkpoint))
