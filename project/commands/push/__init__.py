"""`python -m project push`: publish a run's weights on the Hugging Face Hub.

``--to user/name`` gets the weights as safetensors, the config and a model card with the results.
``--dry_run DIR`` writes these files to a folder and publishes nothing.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from project.analysis.metadata import metadata_of
from project.cli.config_files import read_config
from project.cli.console import print_rows
from project.cli.keys import add_checkpoint
from project.cli.old_runs import config_of
from project.commands.push.card import model_card
from project.errors import UserError, writing
from project.models.checks import check_predicts
from project.models.pretrained import skip_pretrained
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run, shown
from project.run.hub import PREFIX, WEIGHTS, check_repository, import_hub, reaching

if TYPE_CHECKING:
    from project.cli.main import CLI

ADVICE = "check the connection, and sign in with `hf auth login` or set HF_TOKEN"


def add_arguments(parser: Any) -> None:
    """Add the keys that say what is published, and where."""
    add_checkpoint(parser)
    parser.add_argument("--to", type=str | None, help="The repository, user/name.")
    parser.add_argument(
        "--private", type=bool, default=False, help="Whether others may not see it."
    )
    parser.add_argument(
        "--dry_run", "--dry-run", type=str | None, help="Folder to write the files to instead."
    )


def run(cli: "CLI") -> None:
    """Publish the checkpoint that ``--checkpoint`` names.

    Raises:
        UserError: An argument or the checkpoint cannot be used, or the Hub refuses it.
    """
    config, source = cli.config, cli.arguments.run
    assert source is not None  # a rule of the command line
    advice = "give --to user/name"
    if not config.to:
        raise UserError(f"push needs the name of a repository: {advice}")
    check_repository(config.to, advice)
    with skip_pretrained():  # the checkpoint has all of them
        built = cli.parser.instantiate_classes(config)
    if config.dry_run:
        folder = Path(config.dry_run).absolute()
        write_files(source, built.model, built.data, config, folder)
        where = {
            "files": f"{shown(folder)}, nothing was published",
            "next": "the same command without --dry_run",
        }
    else:
        with TemporaryDirectory() as name:
            write_files(source, built.model, built.data, config, Path(name))
            address = upload(Path(name), config.to, config.private, source)
        where = {"published": address}
    use = f"python -m project fit ... --model.weights {PREFIX}{config.to}"
    print_rows(f"{source.experiment}/{source.id}", {**where, "use": use})


def write_files(run: Run, model: Any, data: Any, config: Any, folder: Path) -> None:
    """Write the files of a repository: weights, config and model card.

    Args:
        run: The run with the checkpoint.
        model: As the config builds it.
        data: The dataset that it was trained on.
        config: The parsed config, with ``checkpoint`` and ``to``.
        folder: Where they go.
    """
    from safetensors.torch import save_file

    source = run.checkpoint(config.checkpoint)
    checkpoint = read_checkpoint(source)
    check_predicts("push", model)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    model.eval()
    state = {name: t.contiguous().clone() for name, t in model.published_state().items()}
    metadata = metadata_of(run, source, checkpoint["global_step"], config.model.class_path, data)
    metadata |= {name: list(getattr(data, name)) for name in ("mean", "std")}
    metadata["temperature"] = getattr(model.objective, "temperature", 1.0)
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    settings = without_folders(read_config(config_of(run)))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / WEIGHTS, {"format": "pt", **texts})
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        card = model_card(run, source, model, metadata, config.to)
        (folder / "README.md").write_text(card, encoding="utf-8")


def without_folders(value: Any) -> Any:
    """A config with the last part alone of each path, whose other parts are of this machine."""
    if isinstance(value, dict):
        return {key: without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def upload(folder: Path, repository: str, private: bool, run: Run) -> str:
    """Upload a folder to a repository, which is made if it is not there, and give its address."""
    api = import_hub().HfApi()
    with reaching(f"publish {repository}", ADVICE):
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=f"Publish {run.experiment}/{run.id}",
        )
    return f"{api.endpoint}/{repository}"
