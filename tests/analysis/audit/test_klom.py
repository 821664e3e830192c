"""KLoM, against scipy's entropy and closed forms."""

import numpy as np
import pytest
from made_cohorts import cohort, drawn
from scipy.stats import entropy

from analysis.audit.klom import KLoM, KLoMRetain, KLoMTest, divergences


def by_scipy(unlearned, retrain):
    values = np.clip([unlearned, retrain], -100, 100)
    ends = np.linspace(values.min(), values.max(), 21)
    own, reference = (np.histogram(each, ends)[0] / len(each) for each in values)
    return entropy(own, np.where(own > 0, np.maximum(reference, 1e-5), reference))


def test_it_is_the_entropy_of_scipy_on_histograms_of_numpy():
    rng = np.random.default_rng(0)
    unlearned, retrain = 60 * rng.standard_t(2, size=(100, 40)), 50 * rng.normal(size=(100, 40))
    expected = [by_scipy(one, other) for one, other in zip(unlearned.T, retrain.T, strict=True)]
    assert divergences(unlearned, retrain).tolist() == pytest.approx(expected, abs=1e-9)


def test_identical_margins_are_0_apart_and_disjoint_ones_as_far_as_it_goes():
    rng = np.random.default_rng(1)
    margins = rng.normal(size=(64, 20))
    assert divergences(margins, margins).tolist() == pytest.approx([0] * 20, abs=1e-12)
    assert divergences(np.ones((4, 3)), np.zeros((4, 3))).tolist() == pytest.approx([-np.log(1e-5)] * 3, abs=1e-4)
    assert divergences(np.zeros((4, 3)), np.zeros((4, 3))).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_of_many_gaussians_it_is_half_the_squared_shift(shift):
    rng = np.random.default_rng(2)
    found = divergences(rng.normal(size=(200_000, 4)) + shift, rng.normal(size=(200_000, 4)))
    assert found == pytest.approx(shift**2 / 2, rel=0.05)


def test_the_fewer_models_the_higher_it_is_for_equal_laws():
    rng = np.random.default_rng(3)
    means = [divergences(*rng.normal(size=(2, count, 1000))).mean() for count in (8, 16, 32, 64, 100, 200)]
    assert means == pytest.approx([6.4, 3.8, 1.6, 0.62, 0.33, 0.14], rel=0.08)


def test_it_is_the_95th_percentile_over_samples_beside_its_floor():
    made = drawn(4, 64, 50, 1.0, ceiling=3.0)
    found, floor, ceiling = (getattr(KLoM(), name)(made) for name in ("estimate", "floor", "ceiling"))
    each = np.sort(divergences(made.margins("unlearned"), made.margins("retrain")))
    assert each[46] <= found.value <= each[47]
    retrain = made.margins("retrain")
    assert floor.value == pytest.approx(np.percentile(divergences(retrain[1::2], retrain[0::2]), 95))
    assert ceiling.value > found.value


@pytest.mark.parametrize("score", [KLoMRetain(), KLoMTest()], ids=lambda score: score.name)
def test_other_parts_need_the_same_samples_in_every_seed(score):
    part = score.parts[0]
    margins = {"forget": np.zeros((64, 5)), part: np.random.default_rng(5).normal(size=(64, 6))}
    made = cohort(margins, margins)
    first, second = made.sets[0].retrain[:2]
    first["forget"] = first["forget"].subset(np.arange(5) > 0)
    assert score.estimate(made).value == pytest.approx(0, abs=1e-9), "whatever is forgotten"
    second[part] = second[part].subset(np.arange(6) > 0)
    found = score.estimate(made)
    assert np.isnan(found.value)
    assert found.note == f"the {part} samples that are stored differ from seed to seed"


def test_with_fewer_than_64_originals_there_is_none():
    made = drawn(6, 63, 5, ceiling=1.0)
    for found in (KLoM().estimate(made), KLoM().floor(made), KLoM().ceiling(made)):
        assert np.isnan(found.value)
        assert found.note == "needs 64 originals, there are 63"
