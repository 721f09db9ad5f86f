"""Reading the YAML files of a command line."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from project.errors import UserError


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: The file is missing or is no YAML mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise UserError(f"the config {path} is not UTF-8 ({byte}): save it as UTF-8") from None
    except OSError as error:
        near = get_close_matches(
            path.name, [p.name for p in path.parent.glob("*.yaml") if p.name != path.name], n=1
        )
        hint = f"did you mean {path.parent / near[0]}?" if near else "give the path of a YAML file"
        raise UserError(f"cannot read the config {path} ({error.strerror}): {hint}") from None
    except yaml.YAMLError as error:
        raise UserError(
            f"the config {path} is not YAML ({' '.join(str(error).split())}): mend it"
        ) from None
    if not isinstance(content, dict):
        raise UserError(
            f"the config {path} holds no keys: it must be a mapping, as in configs/digits.yaml"
        )
    return content
