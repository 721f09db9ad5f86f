"""Renaming a package in all files of its repository, wherever its name means the package."""

import re

# Where OLD is replaced. It is left alone in prose ("the OLD's"), in flags and attributes
# (--wandb.project), as a keyword argument, and as a table of pyproject.toml.
RULES = (
    r"\b(from|import) (\w+, )*OLD\b",
    r"(?<!\n\[)(?<![\w./-])OLD(?=\\?\.[\w{*])",  # dotted paths, in code, strings and configs
    r"\\bOLD(?=\\\.)",  # and in regular expressions
    r"-m\s+OLD\b",  # python -m OLD, also across the end of a line
    r"(?<![\w./-])OLD/",  # paths of files
    # A whole string, or with the ends that pyproject.toml and prefixes have: "OLD[export]".
    # W&B has a key "project" in its mappings; a list of its keys says so in a comment.
    r"""["'`]OLD(?=[.*-]?["'`](?!:|.*# W&B's)|\[)""",
    r"^# OLD$|^program: OLD$|--job-name=OLD$",  # the README's title, a sweep's file, Slurm
)
# The default of the project in W&B, which has the package's name in a copy.
WANDB_PROJECT = r'(?<=\bproject: str = ")[\w-]+(?=")'


def renamed(content: bytes, old: str, new: str) -> bytes:
    """The content of a file with the package's new name; one that is no text stays as it is."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    if "\0" in text or old == new:
        return content
    for rule in RULES:
        pattern = rule.replace("OLD", old)
        text = re.sub(pattern, lambda match: match[0].replace(old, new), text, flags=re.M)
    return re.sub(WANDB_PROJECT, new, text).encode()
