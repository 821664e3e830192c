"""Shards: every trial in exactly one, as many in each, and those of one original together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli.arguments import shard_named
from sweep.cli.plan import share
from sweep.errors import InputError
from sweep.plan.shards import Shard
from sweep.plan.trials import Trial


def trial(number: int, original: str | None, seed: int) -> Trial:
    return Trial(f"t{number}", "{}", "task", original, "method", seed)


def shards(trials: list[Trial], count: int, **options: bool) -> list[list[Trial]]:
    return [Shard(number, count).of(trials, **options) for number in range(1, count + 1)]


PLANS = st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.integers(0, 2)), max_size=30).map(
    lambda pairs: [trial(number, name and f"{name}{seed}", seed) for number, (name, seed) in enumerate(pairs)]
)


@given(PLANS, st.integers(1, 12))
def test_every_trial_is_in_one_shard_and_shards_differ_by_one_trial_at_most(trials, count):
    found = shards(trials, count)
    assert sorted(each.id for part in found for each in part) == sorted(each.id for each in trials)
    assert max(map(len, found)) - min(map(len, found)) <= 1


@given(PLANS, st.integers(1, 12))
def test_whole_originals_are_in_one_shard(trials, count):
    found = shards(trials, count, whole_originals=True)
    assert sorted(each.id for part in found for each in part) == sorted(each.id for each in trials)
    homes = [(each.original_id, place) for place, part in enumerate(found) for each in part if each.original_id]
    assert len({name for name, _ in homes}) == len(set(homes))


def test_trials_of_one_original_and_seed_lie_together():
    trials = [
        trial(number, name and f"{name}{seed}", seed)
        for number, (name, seed) in enumerate((name, seed) for name in ("a", None, "a") for seed in (0, 1))
    ]
    assert [[each.id for each in part] for part in shards(trials, 2)] == [["t0", "t4", "t2"], ["t1", "t5", "t3"]]


def test_a_path_is_cut_alike_however_it_is_written():
    trials = [trial(number, name, 0) for number, name in enumerate("aaab")]

    def cut(where: str) -> list[list[str]]:
        return [[each.id for each in share(Shard(number, 2), trials, trials, where)[0]] for number in (1, 2)]

    assert cut("file:///data/results") == cut("/data/results") == cut("results") == [["t0", "t1"], ["t2", "t3"]]
    assert cut("s3://data/results") == [["t0", "t1", "t2"], ["t3"]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0/40", "shards are 1/40 to 40/40"),
        ("41/40", "shards are 1/40 to 40/40"),
        ("1/0", "no shards"),
        ("a/b", "as in 3/40"),
        ("3", "as in 3/40"),
        ("-1/4", "as in 3/40"),
        ("", "as in 3/40"),
    ],
)
def test_what_names_no_shard_is_refused(text, why):
    with pytest.raises(InputError, match=f"--shard {text}: .*{why}"):
        shard_named(text)


def test_a_shard_is_named_by_its_number_and_their_count():
    assert shard_named("40/40") == Shard(40, 40)
    assert shard_named(None) is None
