import numpy as np
import pytest
from made_results import versioned
from made_searches import DEFAULTS, SEARCH_SEEDS, everything, frames, references, search, suggestion, trial

from analysis.reading.frames import read_frames
from analysis.reading.searches import outcomes
from sweep.search.objective import WORST, seed_values, standings
from sweep.store.results import Results


def test_a_search_trial_that_the_sweep_ran_itself_is_still_compared():
    own = trial("uam", SEARCH_SEEDS[0], DEFAULTS["uam"])
    suggestions = [suggestion("uam", 0, DEFAULTS["uam"], [own])]
    found = frames([*references(), own], suggestions)
    assert own["trial_id"] in set(found.trials["trial_id"])
    assert own["trial_id"] in set(found.searched["trial_id"])
    assert outcomes(found)["state"].tolist() == ["complete"]


def test_a_suggestions_value_is_the_mean_over_its_seeds_of_what_the_search_minimised():
    found = frames(*everything())
    tried = outcomes(found)
    rows = found.searched.set_index("trial_id")
    retrain = found.searched[found.searched["method"] == "retrain"].set_index("seed")
    complete = tried[tried["state"] == "complete"]
    assert len(complete) > 30
    listed = found.suggestions.set_index(["study", "number"])["trial_ids"]
    for one in complete.to_dict("records"):
        values = []
        for trial_id in listed[one["study"], one["number"]]:
            row = rows.loc[trial_id]
            names = ["retain_accuracy", "forget_accuracy", "validation_accuracy", "validation_mia"]
            gaps = [min(abs(row[name] - retrain.loc[row["seed"], name]), 100) for name in names]
            values.append(np.mean(gaps) if row["status"] == "ok" else WORST)
        assert one["value"] == pytest.approx(np.mean(values))
    diverged = set(rows[rows["status"] == "diverged"].index)
    assert any(set(ids) & diverged for ids in listed)


def test_the_report_and_the_status_agree_on_how_suggestions_stand():
    study, params = "uam-12345678", DEFAULTS["uam"]
    alone = [
        trial("uam", 90 + place, params, study=study, status=status)
        for place, status in enumerate(("ok", "diverged", "failed", "pruned"))
    ]
    old = trial("retrain", 90, {}) | {"validation_mia": None}
    first = trial("uam", SEARCH_SEEDS[0], params, study=study)
    suggestions = [suggestion("uam", number, params, [first, one]) for number, one in enumerate(alone)]
    rows = [*references(), old, first, *alone]
    shown = outcomes(frames(rows, suggestions))
    counted = standings(suggestions, rows)
    assert shown["state"].tolist() == [counted[study, number].state for number in range(4)]
    assert shown["state"].tolist() == ["unfinished", "complete", "failed", "pruned"]


def test_suggestions_of_an_older_version_of_the_method_are_left_out(tmp_path):
    rows, suggestions = search("uam", count=2)
    newer, newly_suggested = search("uam", count=3)
    newer = [versioned(one, 2) for one in newer if one["method"] == "uam"]
    newly_suggested = [
        one | {"study": "uam-later", "trial_ids": [f"{name}-2" for name in one["trial_ids"]]} for one in newly_suggested
    ]
    results = Results(str(tmp_path))
    for one in (*references(), *(versioned(one, 1) for one in rows), *newer):
        results.write_trial(one)
    older = [one | {"trial_ids": [f"{name}-1" for name in one["trial_ids"]]} for one in suggestions]
    for one in (*older, *newly_suggested):
        results.write_suggestion(one)
    found = read_frames(str(tmp_path))
    assert found.suggestions["study"].tolist() == ["uam-later"] * 3
    assert outcomes(found)["state"].isin(["complete", "pruned"]).all()


def test_how_suggestions_ended():
    params, other = DEFAULTS["uam"], DEFAULTS["uam"] | {"rho": 4.0}
    study = "uam-12345678"
    first, second = (trial("uam", seed, params, study=study) for seed in SEARCH_SEEDS)
    pruned = trial("uam", SEARCH_SEEDS[1], other, study=study, status="pruned")
    failed = trial("uam", SEARCH_SEEDS[0], other, study=study, status="failed") | {"trial_id": "failed"}
    alone = trial("uam", 99, params, study=study)  # there is no Retrain of its seed
    suggestions = [
        suggestion("uam", 0, params, [first, second]),
        suggestion("uam", 1, other, [first, pruned]),
        suggestion("uam", 2, other, [failed, second]),
        suggestion("uam", 3, params, [first, {"trial_id": "not there"}]),
        suggestion("uam", 4, params, [first, alone]),
    ]
    found = outcomes(frames([*references(), first, second, pruned, failed, alone], suggestions))
    assert found["state"].tolist() == ["complete", "pruned", "failed", "unfinished", "unfinished"]
    assert found["value"].notna().tolist() == [True, False, False, False, False]
    assert found["seconds"].iloc[0] == pytest.approx(first["unlearn_seconds"] + second["unlearn_seconds"] + 0.4)
    retrain = references()[0]
    cost = np.mean([seed_values(one, retrain, ["cost"])[0] for one in (first, second)])
    assert found["cost"].iloc[0] == pytest.approx(cost)


def test_a_trial_that_suggestions_share_takes_its_seconds_once_in_each_study():
    params, other = DEFAULTS["finetune"], DEFAULTS["finetune"] | {"lr": 0.02}
    shared, own = (trial("finetune", SEARCH_SEEDS[0], one, study="a") for one in (params, other))
    suggestions = [
        suggestion("finetune", 0, params, [shared], study="a"),
        suggestion("finetune", 1, other, [own], study="a"),
        suggestion("finetune", 2, params, [shared], study="a"),
        suggestion("finetune", 0, params, [shared], study="b"),
    ]
    found = outcomes(frames([*references(), shared, own], suggestions))
    first, second = (one["unlearn_seconds"] + 0.2 for one in (shared, own))
    assert found["seconds"].tolist() == pytest.approx([first, second, 0.0, first])
