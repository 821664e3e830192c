"""Strata of what the originals had memorised."""

import numpy as np
import pytest
from made_cohorts import cohort

from analysis.audit.memorisation import STRATA, memorisation, strata

SIGNS = np.array([5.0, -5.0])


def made(original, retrain, **more):
    """A cohort by how often originals and Retrains are right on each sample: of K seeds so many, from the first on."""
    seeds = 8
    margins = [[SIGNS[int(seed >= many)] for many in right] for right in (original, retrain) for seed in range(seeds)]
    above, below = np.array(margins).reshape(2, seeds, -1)
    return cohort(np.arange(seeds)[:, None] + 0 * below, below, above, **more)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("folds", [1, 2])
def test_memorisation_is_how_much_more_often_originals_are_right(classes, folds):
    found = memorisation(made([8, 8, 6, 4], [0, 8, 2, 5], classes=classes, folds=folds))
    np.testing.assert_allclose(found, [1.0, 0.0, 0.5, -0.125])


def test_strata_are_of_every_other_seed_and_scored_by_those_between():
    original = np.zeros((6, 4)) - 1
    original[::2, 0] = 1  # memorised by seeds 0, 2, 4
    original[1::2, 1] = 1  # by those between
    original[[0, 2], 2] = 1  # two thirds of those that decide
    unlearned = np.arange(6.0)[:, None] + np.zeros(4)
    found = dict(strata(cohort(unlearned, np.full((6, 4), -1.0), original)))
    assert {name: part.samples.tolist() for name, part in found.items()} == {"low": [1, 3], "mid": [2], "high": [0]}
    for part in found.values():
        assert part.seeds == (1, 3, 5)
        np.testing.assert_array_equal(part.margins("unlearned")[:, 0], [1, 3, 5])


def test_what_put_samples_into_a_stratum_by_chance_is_not_scored_again():
    whole = cohort(*np.random.default_rng(0).normal(size=(3, 16, 3000)))  # nobody memorised anything
    decided = memorisation(whole.take(range(0, 16, 2)))
    part = dict(strata(whole))["mid"]
    assert decided[part.samples].mean() > 0.25
    assert memorisation(part).mean() == pytest.approx(0, abs=0.05)


def test_the_cuts_are_half_way_between_none_half_and_all():
    assert [*STRATA.values()] == [(-np.inf, 0.25), (0.25, 0.75), (0.75, np.inf)]
    found = dict(strata(made([1, 2, 6, 8], [0, 0, 0, 0]).take([0, 0, 1, 1, 2, 2, 5, 5])))
    assert {name: part.samples.tolist() for name, part in found.items()} == {"mid": [0, 1], "high": [2, 3]}


@pytest.mark.parametrize("what", ["no original", "one seed", "seeds that forget different samples"])
def test_there_are_no_strata_of(what):
    whole = made([8, 8], [0, 8])
    if what == "no original":
        whole = cohort(np.zeros((8, 2)), np.zeros((8, 2)))
    elif what == "one seed":
        whole = whole.take([0])
    else:
        unlearned = list(whole.sets[0].unlearned)
        part = unlearned[1]["forget"]
        unlearned[1] = {"forget": type(part)(part.samples + 1, part.targets, part.outputs)}
        whole = type(whole)(
            whole.task,
            whole.task_ids,
            whole.method,
            whole.params,
            whole.seeds,
            (type(whole.sets[0])(tuple(unlearned), whole.sets[0].retrain, whole.sets[0].original),),
        )
    assert [*strata(whole)] == []
