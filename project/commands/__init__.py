"""The commands: a module or folder for each, which is imported when its command is used.

Each module's docstring is its help, and its function ``run`` is called: commands on a config take
the `CLI`, commands on folders take the parsed arguments. ``add_arguments(parser)`` is optional.
"""

from importlib import import_module
from types import ModuleType

TRAINER_COMMANDS = ("fit", "validate", "test", "predict")  # any other may be deleted
CONFIG_COMMANDS = {
    "fit": "train; without a config, on handwritten digits that need no download",
    "validate": "evaluate on the validation set",
    "test": "evaluate on the test set",
    "predict": "predict images of your own: --run RUN --images FILE_OR_FOLDER ...",
    "describe": "show the layers of a network, their output shapes, parameters and MACs",
    "check": "find out in seconds what is wrong with data and model",
    "prepare": "make a cache of images in the size of --data.cache",
    "calibrate": "fit the temperature of a run's probabilities on the validation set",
    "export": "write the network to one file, ONNX or torch.export",
    "push": "publish the weights on the Hugging Face Hub: --run RUN --to user/name",
}
FOLDER_COMMANDS = {
    "compare": "say what differs between runs, and whether by more than chance: RUN ...",
    "report": "write one HTML file with all there is to see: RUN ...",
    "results": "write configs/results/*.json and the README's table of them: RUN ...",
    "sweep": "search hyperparameters with Optuna, in many processes: FILE --trials N",
    "new": "copy this template under a name of your own: DIR --without PART,...",
}
COMMANDS = CONFIG_COMMANDS | FOLDER_COMMANDS
HELP = """A PyTorch Lightning research template for image classification.

python -m project COMMAND [--config FILE ...] [--KEY VALUE ...]

{commands}

RUN is a folder runs/<experiment>/<id>, or runs/<experiment> for its newest run. With --run RUN,
test, validate, predict and the like use its best checkpoint, and fit goes on from its last one.
fit --find lr and fit --find batch_size look for a value, and train nothing.
--config FILE may be repeated; later files and flags win: --optimizer.lr 0.1 --model.dropout 0.5
python -m project COMMAND --help lists the keys of a command;
--print_config prints the merged config.
"""


def usage() -> str:
    """What ``python -m project --help`` prints."""
    lines = [f"  {name:<10} {summary}" for name, summary in COMMANDS.items()]
    return HELP.format(commands="\n".join(lines))


def import_command(name: str) -> ModuleType:
    """The module of a command."""
    return import_module(f"project.commands.{name}")
