"""Whether two groups of runs differ by more than chance, from what every run predicts of the same samples."""

from dataclasses import dataclass

import numpy as np

from project.analysis.obuchowski_rockette import Values, obuchowski_rockette
from project.analysis.run_result import Group, Record
from project.errors import UserError
from project.run.folder import shown

# Beyond this ratio of the numbers of runs, two equal groups differ more often than in 5 % of cases.
MOST_UNEQUAL = 2


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test (McNemar, 1947) of one run against one on the same samples.

    Only the samples count that just one of the two runs has right. If both were equally good, each
    of these samples would be as likely to be the first run's as the second's. The test is about
    these two networks alone: another seed would give others.

    Attributes:
        split: ``val`` or ``test``.
        samples: Number of samples.
        first: Samples that only the first run has right.
        second: Samples that only the second run has right.
        p: Two-sided p-value of the exact binomial test.
        name: Name of the test.
    """

    split: str
    samples: int
    first: int
    second: int
    p: float
    name: str = "McNemar's exact test"

    def in_words(self, a: str, b: str) -> str:
        """The result as a line, for groups of these names."""
        counts = f"{self.first:,} are right with {a} only, {self.second:,} with {b} only"
        return f"of {self.samples:,} {self.split} samples {counts}: {self.name}, p = {self.p:.3g}"


@dataclass(frozen=True)
class ObuchowskiRockette:
    """The Obuchowski-Rockette test of several runs against several on the same samples, see `obuchowski_rockette`.

    Attributes:
        split: ``val`` or ``test``.
        samples: Number of samples.
        runs: Number of runs in each group.
        difference: Mean accuracy of the first group minus that of the second.
        standard_error: Standard error of the difference over runs and samples.
        degrees_of_freedom: Degrees of freedom of the t distribution.
        p: Two-sided p-value.
        name: Name of the test.
    """

    split: str
    samples: int
    runs: tuple[int, int]
    difference: float
    standard_error: float
    degrees_of_freedom: float
    p: float
    name: str = "Obuchowski-Rockette test"

    def in_words(self, a: str, b: str) -> str:
        """The result as a line, for groups of these names."""
        return (
            f"{self.split} accuracy of {a} minus that of {b}: {self.difference:+.4f}, standard error "
            f"{self.standard_error:.4f} over {self.runs[0]} and {self.runs[1]} runs and {self.samples:,} samples: "
            f"{self.name}, p = {self.p:.3g}"
        )


@dataclass(frozen=True)
class NoTest:
    """No test is right for these groups.

    Attributes:
        reason: Why, and what to do.
    """

    reason: str

    def in_words(self, a: str, b: str) -> str:
        """The reason as a line, for groups of these names."""
        return f"no test between {a} and {b}: {self.reason}"


Result = McNemar | ObuchowskiRockette | NoTest


def significance(a: Group, b: Group, split: str) -> Result:
    """Compare two groups by their saved predictions, with the test that is right for their numbers of runs.

    Raises:
        UserError: A run has no predictions, or the runs predict different samples.
    """
    if reason := why_no_test(a, b, split):
        return NoTest(reason)
    x, y = correct([a, b], split)
    runs, samples = (len(x), len(y)), x.shape[1]
    if runs == (1, 1):
        from scipy.stats import binomtest

        first, second = int((x > y).sum()), int((x < y).sum())
        p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
        return McNemar(split, samples, first, second, p)
    difference, error, freedom, p = map(float, obuchowski_rockette(x, y))
    if np.isnan(p):
        return NoTest(
            "every run and every sample shows the same difference, so there is no spread to compare it with"
        )
    return ObuchowskiRockette(split, samples, runs, difference, error, freedom, p)


def why_no_test(a: Group, b: Group, split: str) -> str:
    """Why no test is right for two groups; empty if one is."""
    records = [*a.records, *b.records]
    if split == "val" and len({record.config.get("data.fold") for record in records}) > 1:
        # There is no unbiased estimate of the variance of cross-validation (Bengio & Grandvalet,
        # 2004).
        return "the runs of a cross-validation share training samples: compare them on the test set"
    for group, other in ((a, b), (b, a)):
        repeats = [
            (record.config["seed_everything"], record.config.get("data.fold"))
            for record in group.records
        ]
        if len(set(repeats)) < len(repeats):
            return f"two runs of {group.name} have the same seed, so they are not independent: leave one out"
        if len(other.records) > MOST_UNEQUAL * len(repeats) > MOST_UNEQUAL:
            return f"{group.name} has {len(repeats)} runs and {other.name} {len(other.records)}: train about as many"
        if len(repeats) == 1 < len(other.records):
            return f"{group.name} has one run, which shows no spread over seeds: train another --seed_everything"
    return ""


def correct(groups: list[Group], split: str) -> list[Values]:
    """For each group, which samples each run has right: 1 or 0 (runs, samples).

    Raises:
        UserError: A run has no predictions, or the runs predict different samples.
    """
    first = groups[0].records[0]
    samples = [
        (index, row["true"], row["true_name"]) for index, row in first.predictions(split).items()
    ]
    found = []
    for group in groups:
        rows = []
        for record in group.records:
            predictions = record.predictions(split)
            if samples != [
                (index, row["true"], row["true_name"]) for index, row in predictions.items()
            ]:
                both = f"{shown(first.run.folder)} and {shown(record.run.folder)}"
                raise UserError(
                    f"{both} predict different {split} samples: compare runs with one split"
                )
            rows.append([row["true"] == row["predicted"] for row in predictions.values()])
        found.append(np.array(rows, dtype=np.float64))
    return found


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
