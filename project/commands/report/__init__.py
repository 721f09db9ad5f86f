"""Write one HTML file about runs that needs no network: for clusters without W&B, and for papers.

At its top, groups of runs are compared as `compare` does. Parts that a run lacks are left out.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project.analysis.group import group_runs
from project.analysis.run_result import read_runs
from project.commands.report.comparison import comparison
from project.commands.report.images import Size
from project.commands.report.overview import write_overview
from project.commands.report.section import section
from project.errors import UserError, writing
from project.run.folder import common_folder, now, shown, write_atomically

LIMIT = 3_000_000  # bytes of the file
SIZES = (Size(1600, 82), Size(1200, 75), Size(1000, 65), Size(800, 55), Size(640, 45))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("runs", type=Path, nargs="+", help="Folders of runs or experiments.")
    parser.add_argument(
        "--output",
        type=Path | None,
        help="HTML file; report.html in the runs' common folder by default.",
    )
    parser.add_argument(
        "--picture", type=Path | None, help="PNG of the first run's main figures, to write as well."
    )


def run(arguments: Any) -> None:
    """Write the file with the largest images that keep it below the limit.

    Raises:
        UserError: The runs do not belong together, or are too many for one file.
    """
    from jinja2 import Environment, StrictUndefined

    results = read_runs(arguments.runs)
    groups = group_runs(results)
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True}
    environment = Environment(autoescape=True, lstrip_blocks=True, **options)
    source = files("project.commands.report").joinpath("report.html")
    template = environment.from_string(source.read_text(encoding="utf-8"))
    for size in SIZES:
        page = template.render(
            title=", ".join(dict.fromkeys(result.run.experiment for result in results)),
            time=now(),
            comparison=comparison(groups, size) if len(results) > 1 else None,
            runs=[section(result, size) for result in results],
        )
        if len(page.encode()) < LIMIT:
            break
    else:
        raise UserError(
            f"a report of {len(results)} runs would be larger than {LIMIT / 1e6:.0f} MB: give fewer"
        )
    folders = [result.run.folder for result in results]
    folder = folders[0] if len(folders) == 1 else common_folder(folders)
    path = (arguments.output or folder / "report.html").absolute()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page)
    if arguments.picture:
        split = "test" if results[0].test_result else "val"
        write_overview(results[0].run, split, arguments.picture)
        print(f"picture: {shown(arguments.picture.absolute())}")
    print(f"report: {shown(path)} ({len(page.encode()) / 1e6:.2f} MB)")
