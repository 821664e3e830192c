from made_searches import CONFIRM_SEEDS, RETRAIN, SEARCH_SEEDS, everything, frames, references, search, trial

from analysis.methods_table import methods_table


def test_what_was_tuned_on_is_compared_with_nothing():
    found = frames(*everything())
    compared = found.trials
    searched = {trial_id for ids in found.suggestions["trial_ids"] for trial_id in ids}
    assert not searched & set(compared["trial_id"])
    judges = {one["trial_id"] for one in references(SEARCH_SEEDS)}
    assert set(found.searched["trial_id"]) == searched | judges
    assert set(compared["seed"]) == set(CONFIRM_SEEDS)


def test_references_are_over_the_seeds_that_the_methods_have():
    own = [trial("original", seed, {"epochs": 0}, off=12.0) for seed in SEARCH_SEEDS]
    rows, suggestions = everything(methods=("uam",))
    found = frames([*own, *rows], suggestions)
    table = methods_table(found.trials).set_index("method")
    assert set(table["seeds"]) == {len(CONFIRM_SEEDS)}
    assert table.loc["retrain", "RA.mean"] == RETRAIN[0]
    alone = frames(references(SEARCH_SEEDS) + search("uam")[0][:40], search("uam")[1])  # nothing is confirmed yet
    assert methods_table(alone.trials)["seeds"].tolist() == 2 * [len(SEARCH_SEEDS)]
    later = frames(references([*SEARCH_SEEDS, *CONFIRM_SEEDS, 50]) + rows, suggestions)
    assert 50 in set(later.trials["seed"])  # no search asked for it
