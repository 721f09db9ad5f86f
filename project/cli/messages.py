"""Errors of the user, said on one line: what was wrong and what to do."""

import re

from project.cli.replaced import CLASS_KEYS
from project.cli.suggestions import classes, meant, nearest_argument, nearest_key
from project.errors import UserError

# What jsonargparse says of a logger besides what is wrong with it, because it may also be several
# or a bool.
NOT_A_LOGGER = (
    r"<class '(?:collections\.abc\.Iterable|bool)'>"
    r"|valid subclass of Logger|^a (?:class path|dict) "
)
# Packages that a class path may name, by the extra that installs them.
EXTRAS = {"schedulefree": "optim", "timm": "timm"}
# Its complaint that an optimiser is none of ours, among which it looks for a name first.
NOT_OURS = (
    r"Does not validate against any of the Union subtypes Subtypes: \[collections\.abc\.Callable"
    r".*?a subclass of Muon \| SAM\..*? callable class: "
)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, and jsonargparse's without all the types it tried."""
    text = str(error) or type(error).__name__
    if "Original Traceback" in text:  # out of a DataLoader's worker, with the message last
        text = text.strip().splitlines()[-1].partition(": ")[2]
    raw = text = re.sub(NOT_OURS, "", " ".join(text.split()))
    if isinstance(error, UserError):
        return text
    absent = re.search(r"No module named '(\w+)", text)
    if absent and absent[1] in EXTRAS:
        return f'{absent[1]} is not installed: pip install -e ".[{EXTRAS[absent[1]]}]"'
    keys = dict.fromkeys(re.findall(r'Parser key "([\w.]+)":', text))
    where = ".".join(keys)
    unknown = re.search(r"Expected a dot import path string: (\w+)", text)
    if unknown and classes(where):  # whatever else the key takes
        return f"{where}: there is no class {unknown[1]}" + meant(
            unknown[1], [c.__name__ for c in classes(where)]
        )
    if "Errors: - " in text:
        text = text.partition("Errors: - ")[2]
    text = re.sub(r" Given value type: .* Given value: ", ". Got value: ", text)
    text, _, value = text.partition(". Got value: ")
    parts = dict.fromkeys(p for p in text.split(" - ") if not re.search("NoneType|Errors:$", p))
    if "Iterable[lightning" in raw:
        parts = dict.fromkeys(part for part in parts if not re.search(NOT_A_LOGGER, part)) or parts
    text = " or ".join([part for part in parts if "import path" not in part] or parts)
    frames = (
        r'Parser key "[\w.]+":|expects a function or a callable class:'
        r"|Problem with given class_path '[\w.]+':"
    )
    text = re.sub(rf".*(?:{frames}) ", "", text)
    text = re.sub(r"Expected an? <class '(\w+)'>", r"expected \1", text)
    text = re.sub(r"Expected an? typing\.Literal\[(.*?)\]", r"expected one of \1", text)
    text = re.sub(r"(?<=required: ).*", lambda names: re.sub(r"\b\w+\.(?=\w)", "", names[0]), text)
    if missing := re.search(r"the following arguments are required: (\w+(?:, \w+)*)", text):
        text = text.replace(missing[0], has_no_default(missing[1].split(", "), where))
    if re.fullmatch(r"(or Expected a path .* or )?expected (list|tuple)", text):
        return f"{where}: {as_a_list(where, raw)}"
    problem = re.search(r"class_path '([\w.]+)': No module named '([\w.]+)'", raw)
    if problem and f"{problem[1]}.".startswith(f"{problem[2]}."):
        text += ": modules of your own are looked for in the current folder and in PYTHONPATH"
    value = (
        f", not {value}" if text.startswith("expected") and re.fullmatch(r"[^\s()]+", value) else ""
    )
    if option := re.search(r"Option '\w+' is not accepted", raw):
        text, value = option[0] + nearest_argument(where, raw), ""
    return (f"{where}: " if where else "") + text + value + nearest_key(text)


def has_no_default(names: list[str], where: str) -> str:
    """What to do about arguments that are required, at key ``where`` or at the top."""
    verb = "has" if len(names) == 1 else "have"
    said = f"{' and '.join(names)} {verb} no default: "
    if not where and names[0] not in CLASS_KEYS:  # a word that follows the command
        return f"{said}--help shows where it stands"
    key = f"{where}." if where else ""
    said += "give " + " and ".join(f"--{key}{name}" for name in names)
    if where:
        return said
    return (
        f"{said} (the default config of digits is used only where none of --config, --model and "
        "--data is given: add --config configs/digits.yaml to keep it)"
    )


def as_a_list(where: str, raw: str) -> str:
    """How to write a list at key ``where``, instead of the value in jsonargparse's message."""
    value = re.search(r"(?:val='|Given value: |Got value: )([\w.,+-]+)(?:'\))?$", raw)
    said = f"expected a list, as in --{where} [{value[1] if value else '...'}]"
    if value and "class 'list'" in raw and classes(where):
        said += f", or --{where}+={value[1].partition(',')[0]} to add to it"
    return said
