"""The comparison at the top of a report of several runs."""

import io
from typing import Any

from project import plots
from project.analysis.group import Group, in_order, plus_minus
from project.analysis.significance import significance
from project.commands.report.images import Size, as_uri
from project.errors import UserError


def comparison(groups: list[Group], size: Size) -> dict[str, Any]:
    """The table of groups, the result of the test between two of them, and all histories."""
    summaries = [group.summary() for group in groups]
    names = in_order({name for summary in summaries for name in summary["metrics"]})
    rows = []
    for group, summary in zip(groups, summaries, strict=True):
        metrics, runs = summary["metrics"], len(group.results)
        rows.append(
            {
                "group": group.name,
                "runs": runs,
                "overrides": [f"{key} {value}" for key, value in group.overrides.items()],
                "metrics": [plus_minus(metrics[n], runs) if n in metrics else "" for n in names],
                "seconds": f"{summary['seconds']:.1f}",
                "num_test_evaluations": summary["num_test_evaluations"],
            }
        )
    figure = io.BytesIO()
    curves = {group.name: [result.history for result in group.results] for group in groups}
    plots.save(plots.histories(curves), figure)
    histories = as_uri(figure, size)
    return {"names": names, "rows": rows, "test": test_in_words(groups), "histories": histories}


def test_in_words(groups: list[Group]) -> str:
    """The result of the test between two groups; empty for any other number of groups."""
    if len(groups) != 2:
        return ""
    try:
        return significance(groups).in_words(groups[0].name, groups[1].name)
    except UserError as error:
        return f"no test between the two groups: {error}"
