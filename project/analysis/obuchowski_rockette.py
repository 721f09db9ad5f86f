"""The Obuchowski-Rockette test of two groups of runs, over seeds and samples alike."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def obuchowski_rockette(a: Values, b: Values) -> tuple[Values, Values, Values, Values]:
    """Test whether two groups of runs have the same expected accuracy over new seeds and samples.

    Obuchowski & Rockette (1995) made the analysis of variance for readers (here: runs) who look at
    the same cases (here: samples). The form for readers who belong to one of two groups, and its
    degrees of freedom, are those of Hillis (2007, 2014). It is Welch's t-test over runs, with the
    variance over samples added to the variance over runs. Both contain the part of the variance
    that neither runs nor samples explain, so it is subtracted once.

    Runs are never paired by seed: the same seed gives other weights to another network. Where two
    runs of one seed do resemble each other, the test is conservative.

    Two refinements serve groups of two runs: no component of the variance may be below zero, and
    the variance over samples has degrees of freedom too (Satterthwaite, 1946). In simulations of
    equally good groups with 2, 3 and 5 runs each, 1 to 6 % of the p-values are below 0.05, the
    fewest where the seed makes no difference. Two runs against ten can give 10 %, so both groups
    must have about as many runs.

    Args:
        a: 1 for each sample that a run of the first group predicts correctly, else 0
            (..., runs, samples); at least two runs.
        b: The same for the second group and the same samples.

    Returns:
        Difference of the mean accuracies, its standard error, degrees of freedom and two-sided
        p-value, of the leading shape. The last two are NaN where the difference is the same in all
        runs and samples.
    """
    from scipy.stats import t

    samples = a.shape[-1]
    by_sample = a.mean(-2) - b.mean(-2)
    over_samples = by_sample.var(-1, ddof=1) / samples
    over_runs = np.stack([group.mean(-1).var(-1, ddof=1) / group.shape[-2] for group in (a, b)])
    rest = unexplained(a) + unexplained(b)
    variance = np.maximum(over_runs.sum(0), rest) + np.maximum(over_samples - rest, 0)
    variance = np.where(variance > 1e-20, variance, np.nan)  # zero up to rounding
    shares = [over_runs[0] ** 2 / (a.shape[-2] - 1), over_runs[1] ** 2 / (b.shape[-2] - 1)]
    freedom = variance**2 / (sum(shares) + np.maximum(over_samples, rest) ** 2 / (samples - 1))
    difference, error = by_sample.mean(-1), np.sqrt(variance)
    return difference, error, freedom, 2 * t.sf(abs(difference) / error, freedom)


def unexplained(group: Values) -> Values:
    """The variance (...) of a mean accuracy (..., runs, samples) that neither of them explains."""
    runs, samples = group.shape[-2:]
    of_run, of_sample = group.mean(-1, keepdims=True), group.mean(-2, keepdims=True)
    effects = of_run + of_sample - group.mean((-1, -2), keepdims=True)
    return ((group - effects) ** 2).sum((-1, -2)) / ((runs - 1) * (samples - 1) * runs * samples)
