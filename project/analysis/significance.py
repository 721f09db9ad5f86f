"""Test whether two groups of runs differ by more than chance, on the predictions of their runs."""

from dataclasses import dataclass

import numpy as np

from project.analysis.group import Group
from project.analysis.obuchowski_rockette import obuchowski_rockette
from project.analysis.paired_predictions import (
    common_split,
    correct_predictions,
    why_no_classes,
)

# With a greater ratio of the numbers of runs, over 5 % of equal groups would test as different.
MOST_UNEQUAL = 2


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test (McNemar, 1947) of one run against one on the same samples.

    Only samples count that exactly one of the two runs predicts correctly. If both were equally
    good, either run would be as likely to be the correct one. The test is about these two networks
    alone: another seed would give others.

    Attributes:
        split: ``val`` or ``test``.
        samples: Number of samples.
        first: Number of samples that only the first run predicts correctly.
        second: Number of samples that only the second run predicts correctly.
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
        """The result in one line, for groups named ``a`` and ``b``."""
        counts = f"{self.first:,} are right with {a} only, {self.second:,} with {b} only"
        return f"of {self.samples:,} {self.split} samples {counts}: {self.name}, p = {self.p:.3g}"


@dataclass(frozen=True)
class ObuchowskiRockette:
    """The Obuchowski-Rockette test of several runs against several, see `obuchowski_rockette`.

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
        """The result in one line, for groups named ``a`` and ``b``."""
        return (
            f"{self.split} accuracy of {a} minus that of {b}: {self.difference:+.4f}, "
            f"standard error {self.standard_error:.4f} over {self.runs[0]} and {self.runs[1]} runs "
            f"and {self.samples:,} samples: {self.name}, p = {self.p:.3g}"
        )


@dataclass(frozen=True)
class NoTest:
    """The reason why no test is valid for these groups.

    Attributes:
        reason: Why, and what to do.
    """

    reason: str

    def in_words(self, a: str, b: str) -> str:
        """The reason in one line, for groups named ``a`` and ``b``."""
        return f"no test between {a} and {b}: {self.reason}"


Result = McNemar | ObuchowskiRockette | NoTest


def significance(groups: list[Group], split: str | None = None) -> Result:
    """Compare two groups with the test that is valid for their numbers of runs.

    Args:
        groups: The two groups.
        split: ``val`` or ``test``; by default the one that all runs have predictions of.

    Raises:
        UserError: A run has no predictions, or the runs predict different samples.
    """
    a, b = groups
    split = split or common_split(groups)
    if reason := why_no_classes(groups, split) or why_no_test(a, b, split):
        return NoTest(reason)
    x, y = correct_predictions(groups, split)
    runs, samples = (len(x), len(y)), x.shape[1]
    if runs == (1, 1):
        from scipy.stats import binomtest

        first, second = int((x > y).sum()), int((x < y).sum())
        p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
        return McNemar(split, samples, first, second, p)
    difference, error, freedom, p = map(float, obuchowski_rockette(x, y))
    if np.isnan(p):
        return NoTest(
            "every run and every sample shows the same difference, so there is no variance to test"
        )
    return ObuchowskiRockette(split, samples, runs, difference, error, freedom, p)


def why_no_test(a: Group, b: Group, split: str) -> str:
    """The reason why no test is valid for two groups; empty if one is."""
    results = [*a.results, *b.results]
    if split == "val" and len({result.config.get("data.fold") for result in results}) > 1:
        # The variance of cross-validation has no unbiased estimate (Bengio & Grandvalet, 2004).
        return "the runs of a cross-validation share training samples: compare them on the test set"
    for group, other in ((a, b), (b, a)):
        repeats = [(r.config["seed_everything"], r.config.get("data.fold")) for r in group.results]
        count, others = len(repeats), len(other.results)
        if len(set(repeats)) < count:
            return (
                f"two runs of {group.name} have the same seed, "
                "so they are not independent: leave one out"
            )
        if others > MOST_UNEQUAL * count > MOST_UNEQUAL:
            return f"{group.name} has {count} runs and {other.name} {others}: train about as many"
        if count == 1 < others:
            return (
                f"{group.name} has one run, which shows no spread over seeds: "
                "train another --seed_everything"
            )
    return ""
