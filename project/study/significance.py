"""Whether two groups of runs differ by more than chance on the same samples."""

from dataclasses import dataclass

from project.errors import UserError
from project.run import shown
from project.study.records import Group, Record


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test (McNemar, 1947) on samples that both groups were judged by.

    A sample counts for the group of which the larger share of runs has it right; with one run each these are the
    samples that just one of the two has right. Under the null hypothesis it is as likely to count for either.

    Attributes:
        split: ``val`` or ``test``.
        samples: Number of samples.
        first: Samples that count for the first group.
        second: Samples that count for the second.
        p: Two-sided p-value of the exact binomial test.
    """

    split: str
    samples: int
    first: int
    second: int
    p: float


def mcnemar(a: Group, b: Group, split: str) -> McNemar:
    """Compare two groups by their saved predictions.

    Raises:
        UserError: A run has no predictions, or the runs were judged by other samples.
    """
    from scipy.stats import binomtest

    x, y = right_shares(a, split), right_shares(b, split)
    if x.keys() != y.keys():
        raise UserError(f"{a.name} and {b.name} were judged by different {split} samples: compare runs with one split")
    first, second = sum(x[i] > y[i] for i in x), sum(x[i] < y[i] for i in x)
    p = binomtest(first, first + second).pvalue if first + second else 1.0
    return McNemar(split, len(x), first, second, float(p))


def right_shares(group: Group, split: str) -> dict[tuple[int, str], float]:
    """By each sample's index and true class, the share of the runs that saw it and have it right."""
    hits: dict[tuple[int, str], list[bool]] = {}
    for record in group.records:
        for index, row in record.predictions(split).items():
            hits.setdefault((index, f"{row['true']} {row['true_name']}"), []).append(row["true"] == row["predicted"])
    return {sample: sum(seen) / len(seen) for sample, seen in hits.items()}


def common_split(records: list[Record]) -> str:
    """``test`` if all runs were tested as they are now, ``val`` if none was.

    Raises:
        UserError: Some were.
    """
    tested = {bool(record.result): record for record in records}
    if len(tested) == 2:
        folder = shown(tested[False].run.folder)
        raise UserError(
            f"{folder} has no predictions of the test set, as others have: python -m project test --run {folder}, "
            "or compare --split val"
        )
    return "test" if True in tested else "val"
