"""U-LiRA, of margins whose laws are known."""

import numpy as np
import pytest
from made_cohorts import cohort, drawn
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from analysis.audit.ulira import (
    PRIOR,
    Area,
    OnePercent,
    OnePermille,
    Scored,
    area,
    likelihood_ratios,
    true_positive_rate,
)


def margins(seed, originals, samples, shift, deviation=1.0):
    unlearned, retrain = np.random.default_rng(seed).normal(size=(2, originals, samples))
    return (unlearned + shift) * deviation, retrain * deviation


def averaged_rate(draws, originals, samples, shift, rate, *, score=likelihood_ratios, own=False, spread=0.0):
    """The mean true positive rate over draws, and its standard error; deviations are lognormal over samples."""
    found = []
    for seed in range(draws):
        deviation = np.exp(spread * np.random.default_rng([seed, 1]).normal(size=samples))
        found.append(true_positive_rate(score(*margins(seed, originals, samples, shift, deviation), own), rate))
    return np.mean(found), np.std(found) / np.sqrt(draws)


def in_sample(unlearned, retrain, own):
    """What U-LiRA must not do: score each model by laws that it was fitted to itself."""
    below, above = retrain.mean(axis=0), unlearned.mean(axis=0)
    variance = (retrain.var(axis=0, ddof=1) + unlearned.var(axis=0, ddof=1)) / 2
    return Scored(*(((x - below) ** 2 - (x - above) ** 2) / variance for x in (unlearned, retrain)))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("originals", [4, 8, 32])
def test_scores_are_ratios_of_normal_laws_of_the_other_seeds(originals, own):
    unlearned, retrain = margins(0, originals, 7, np.arange(7) / 3, np.linspace(0.5, 2, 7))
    found = likelihood_ratios(unlearned, retrain, own)
    for seed in range(originals):
        u, r = np.delete(unlearned, seed, 0), np.delete(retrain, seed, 0)
        variances = [u.var(axis=0, ddof=1), r.var(axis=0, ddof=1)]
        if not own:
            variances = [sum(variances) / 2] * 2
        freedom = (1 if own else 2) * (originals - 2)
        scales = [np.sqrt((freedom * v + PRIOR * np.median(v)) / (freedom + PRIOR)) for v in variances]
        for scored, x in zip(found, (unlearned[seed], retrain[seed]), strict=True):
            expected = norm.logpdf(x, u.mean(axis=0), scales[0]) - norm.logpdf(x, r.mean(axis=0), scales[1])
            np.testing.assert_allclose(scored[seed], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_with_many_originals_it_is_the_best_attack_on_shifted_normal_laws(shift):
    scored = likelihood_ratios(*margins(0, 500, 200, shift), True)
    assert area(scored) == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.006)
    for rate, lost in ((0.01, 0.05), (0.001, 0.12)):
        ideal = norm.cdf(shift - norm.ppf(1 - rate))
        assert true_positive_rate(scored, rate) == pytest.approx(ideal, abs=0.004 + lost * ideal)


@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["one variance", "variances by sample"])
@pytest.mark.parametrize("originals", [4, 8, 16, 64])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_equal_laws_give_the_false_positive_rate_for_every_number_of_originals(originals, rate, spread):
    mean, error = averaged_rate(40, originals, 500, 0.0, rate, own=originals == 64, spread=spread)
    assert mean == pytest.approx(rate, abs=4 * error)
    assert error < 0.1 * rate


def test_models_that_were_fitted_must_not_be_scored():
    """With equal laws 6 % seem to be recognised at 1 %, and the test above would fail."""
    mean, error = averaged_rate(10, 16, 500, 0.0, 0.01, score=in_sample)
    assert mean - 0.01 > 20 * error


@pytest.mark.parametrize(("originals", "percent"), [(8, 12.4), (16, 15.2), (32, 17.3)])
def test_what_so_many_originals_recognise_of_the_ideal_fifth(originals, percent):
    """At 1 %, of laws 1.5 deviations apart whose deviations vary by sample; the best attack recognises 20.4 %."""
    mean, _ = averaged_rate(4, originals, 2000, 1.5, 0.01, spread=0.5)
    assert 100 * mean == pytest.approx(percent, abs=1)


def test_the_area_is_that_of_all_pairs_with_ties_as_a_half():
    rng = np.random.default_rng(0)
    scored = Scored(*rng.integers(0, 6, size=(2, 5, 9)).astype(np.float32))
    labels = np.repeat([1, 0], 45)
    assert area(scored) == pytest.approx(roc_auc_score(labels, np.concatenate(scored, axis=None)), abs=1e-12)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0.2), (0.1, 0.4), (0.2, 0.6), (0.29, 0.6), (0.3, 0.8)])
def test_at_most_the_given_share_of_the_negatives_exceeds_the_threshold(rate, expected):
    positives = np.array([[10.5, 9.5, 8.5, 7.5, 6.5]])
    assert true_positive_rate(Scored(positives, np.arange(1.0, 11.0)[None]), rate) == expected


SCORES = [Area(), OnePercent(), OnePermille()]


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
def test_the_order_of_samples_and_of_seeds_does_not_matter(score):
    unlearned, retrain = margins(0, 8, 1300, 1.0)
    rng = np.random.default_rng(0)
    samples, seeds = rng.permutation(1300), rng.permutation(8)
    found = score.estimate(cohort(unlearned, retrain))
    again = score.estimate(cohort(unlearned[seeds][:, samples], retrain[seeds][:, samples]))
    assert [again.value, again.low, again.high] == pytest.approx([found.value, found.low, found.high], abs=0.02)


@pytest.mark.parametrize("score", SCORES[:2], ids=lambda score: score.name)
def test_folds_are_samples_beside_one_another(score):
    assert score.estimate(drawn(0, 6, 300, 1.0, folds=3)) == score.estimate(drawn(0, 6, 300, 1.0))


@pytest.mark.parametrize("score", SCORES[:2], ids=lambda score: score.name)
def test_an_original_that_shifts_every_sample_widens_the_interval(score):
    unlearned, retrain = margins(0, 16, 200, 1.0)
    found = score.estimate(cohort(unlearned, retrain))
    unlearned[3] += 3
    one_apart = score.estimate(cohort(unlearned, retrain))
    assert one_apart.high - one_apart.low > 2 * (found.high - found.low)


@pytest.mark.parametrize("score", SCORES[:2], ids=lambda score: score.name)
def test_intervals_hold_what_many_samples_and_draws_give_on_average(score):
    truth = np.mean([score.of(drawn(seed, 8, 400, 1.0)) for seed in range(100, 140)])
    found = [score.estimate(drawn(seed, 8, 400, 1.0)) for seed in range(60)]
    held = np.mean([each.low < truth < each.high for each in found])
    assert 0.85 <= held <= 1


@pytest.mark.parametrize(
    ("samples", "score", "note"),
    [
        (124, OnePercent(), "needs 1000 pairs of a Retrain and a sample, there are 992"),
        (125, OnePercent(), ""),
        (1249, OnePermille(), "needs 10000 pairs of a Retrain and a sample, there are 9992"),
        (1250, OnePermille(), ""),
    ],
)
def test_a_rate_needs_ten_negatives_above_its_threshold(samples, score, note):
    found = score.estimate(drawn(0, 8, samples, 1.0))
    assert found.note == note
    assert np.isnan(found.value) == bool(note)


def test_few_originals_are_named():
    assert Area().estimate(drawn(0, 7, 50)).note == "the laws it fits are hardly known with fewer than 8 originals"


def test_models_that_all_agree_cannot_be_told_apart():
    same = np.zeros((8, 200))
    assert Area().estimate(cohort(same, same)).value == pytest.approx(50)
    assert OnePercent().estimate(cohort(same, same)).value == 0
    assert Area().estimate(cohort(same + 5, same)).value == pytest.approx(100)


@pytest.mark.parametrize("score", SCORES[:2], ids=lambda score: score.name)
def test_the_floor_is_retrain_against_retrain_and_the_ceiling_the_original(score):
    made = drawn(0, 16, 400, 1.0, ceiling=3.0)
    equal = 50 if score.name == "ulira_auc" else 1
    assert score.floor(made).value == pytest.approx(equal, abs=2)
    assert score.floor(made).low < equal < score.floor(made).high
    assert score.ceiling(made).value > score.estimate(made).value + 10
    assert score.ceiling(made) == score.estimate(made.of("original"))
