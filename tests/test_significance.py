"""The Obuchowski-Rockette test against SciPy's in its limits, and its rate of false positives."""

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from project.analysis.obuchowski_rockette import obuchowski_rockette

# In logits: the mean, and the standard deviations of what makes a sample hard for one group alone
# and of the seeds.
EXACT = "accuracy 0.84, runs and samples differ"
SETTINGS = {
    "accuracy 0.98, the seed makes no difference": (7.0, 1.0, 0.0),
    "accuracy 0.98, the seed makes no difference and groups find other samples hard": (
        7.0,
        2.0,
        0.0,
    ),
    "accuracy 0.98, runs and samples differ": (7.0, 1.0, 0.5),
    "accuracy 0.98, the seed dominates": (7.0, 0.0, 1.0),
    EXACT: (3.0, 1.0, 0.5),
}
DRAWS, SAMPLES = 2000, 360


def p_values(
    mean: float, group_std: float, seed_std: float, runs: tuple[int, int], gain: float = 0.0
) -> np.ndarray:
    """The p-values (DRAWS,) of drawn pairs of groups, the second better by ``gain`` logits.

    The samples are as hard for all runs, but for a part that is each group's own; a seed shifts all
    samples of its run.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(DRAWS // 500):
        difficulty = mean + 2.5 * rng.standard_normal((500, 1, SAMPLES))
        correct = []
        for shift, count in zip((0.0, gain), runs, strict=True):
            logits = difficulty + shift + group_std * rng.standard_normal((500, 1, SAMPLES))
            logits = logits + seed_std * rng.standard_normal((500, count, 1))
            correct.append((rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float))
        found.append(obuchowski_rockette(correct[0], correct[1])[3])
    return np.concatenate(found)


@pytest.mark.parametrize("runs", [(2, 2), (3, 3), (5, 5), (2, 4), (3, 6)])
@pytest.mark.parametrize("setting", SETTINGS)
def test_false_positives(setting: str, runs: tuple[int, int]) -> None:
    """In 2,000 draws 5 % are 100, with a binomial standard deviation of 9.7: 4.9 in a thousand.

    Three of them above 5 % are the most for any setting. Where the mean accuracies of runs are
    close to normal, the rate must lie no further below 5 % either. Close to an accuracy of 1 they
    are skewed, and without a difference between seeds the bound of the variance at zero counts: the
    test is careful there, but it must still reject.
    """
    rate = float((p_values(*SETTINGS[setting], runs) <= 0.05).mean())
    print(f"{rate:.4f} of {DRAWS} draws, {runs} runs in the groups, {setting}")
    deviation = (0.05 * 0.95 / DRAWS) ** 0.5
    least = 0.05 - 3 * deviation if setting == EXACT and runs[0] == runs[1] else 0.01
    assert least <= rate <= 0.05 + 3 * deviation


def test_a_difference_is_found() -> None:
    assert (p_values(7.0, 1.0, 0.2, runs=(5, 5), gain=-1.5) <= 0.05).mean() > 0.8


def test_without_samples_it_is_welchs_test_of_runs() -> None:
    a, b = np.array([0.0, 1, 1, 0, 1]), np.array([0.0, 0, 1, 0])
    found = obuchowski_rockette(*(np.repeat(group[:, None], 50, 1) for group in (a, b)))
    truth = ttest_ind(a, b, equal_var=False)
    assert (found[2], found[3]) == pytest.approx((truth.df, truth.pvalue))


def test_without_seeds_it_is_the_paired_test_of_samples() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 200)) < [[0.9], [0.8]]).astype(float)
    found = obuchowski_rockette(np.tile(a, (3, 1)), np.tile(b, (2, 1)))
    truth = ttest_rel(a, b)
    assert (found[2], found[3]) == pytest.approx((truth.df, truth.pvalue))
