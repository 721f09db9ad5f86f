"""Reading the config of a run that an earlier version wrote."""

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from project.run.folder import Run

MOVED_MODULE = re.compile(r"\bproject\.data\.(augment|color|mix|policies)\.")
RENAMED = {"flip_average": "flip_tta", "translate_average": "translate_tta"}
TO_OBJECTIVE = {"criterion": "loss", "label_smoothing": "label_smoothing"}


def config_of(run: Run) -> Path:
    """The config of a run; if an earlier version wrote it, a temporary copy with today's names."""
    try:
        text = run.config.read_text(encoding="utf-8")
        content = yaml.safe_load(MOVED_MODULE.sub(r"project.data.transforms.\1.", text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return run.config  # the parser says what is wrong
    if not isinstance(content, dict):
        return run.config
    renamed = rename_keys(content)
    if not renamed and not MOVED_MODULE.search(text):
        return run.config
    folder = Path(tempfile.mkdtemp(prefix="project-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return config


def rename_keys(content: dict[str, Any]) -> bool:
    """Rename the model's keys of a config in place, and say whether there were any to rename.

    Configs of the version with these keys have no ``objective``, and those of later ones always do.
    """
    model = content.get("model")
    arguments = model.get("init_args") if isinstance(model, dict) else None
    if "objective" in content or not isinstance(arguments, dict) or "criterion" not in arguments:
        return False
    for old, new in RENAMED.items():
        if old in arguments:
            arguments[new] = arguments.pop(old)
    if "freeze" in arguments:
        arguments["freeze_backbone"] = arguments.pop("freeze") == "trunk"
    content["objective"] = {
        "class_path": "project.models.Classification",
        "init_args": {
            new: arguments.pop(old) for old, new in TO_OBJECTIVE.items() if old in arguments
        },
    }
    return True
