"""Studies rebuilt from rows: rows of trials are made by hand, so that nothing has to be trained."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from sweep.search.plan import plan_search
from sweep.search.study import Study
from sweep.spec.search_section import SamplerName

SAMPLERS = get_args(SamplerName)


@pytest.fixture
def definition(make_spec):
    """The study of a spec with the changes given to its search."""

    def make(**changes):
        search = {"methods": [{"name": "uam"}], "trials": 16, "seeds": [0, 1]} | changes
        spec = make_spec(dataset={"name": "digits", "limit": 200, "validation": 0.1}, search=search)
        [found] = plan_search(spec).studies
        return found

    return make


class Made:
    """Rows of trials whose gap is a function of rho and lr, and of suggestions as they are asked for."""

    def __init__(self, definition):
        self.definition = definition
        self.rows = {trial.id: self.row(0.0, trial) for trial in definition.retrain}
        self.suggestions = {}

    @staticmethod
    def row(gap, trial, status="ok", study=None):
        metrics = dict.fromkeys(["retain_accuracy", "validation_accuracy", "validation_mia"], 50.0 + gap)
        return metrics | {"forget_accuracy": 50.0 + gap, "status": status, "unlearn_seconds": 1.0, "study": study}

    def study(self):
        return Study(self.definition, list(self.suggestions.values()), dict(self.rows), "made")

    def run(self, study, count=1, status="ok"):
        """Ask for so many suggestions, and end each of their seeds as inline execution would."""
        for _ in range(count):
            suggestion = study.ask()
            self.suggestions[suggestion.number] = study.row(suggestion)
            self.run_seeds(study, suggestion, status)
        return study

    def run_seeds(self, study, suggestion, status="ok", until=None):
        params = suggestion.params
        gap = 5 * abs(math.log(params["rho"] / 2)) + abs(math.log10(params["lr"] / 0.01))
        for step, trial in enumerate(suggestion.trials[:until], start=1):
            known = trial.id in self.rows
            self.rows.setdefault(trial.id, self.row(gap + step / 10, trial, status, study.name))
            study._rows[trial.id] = self.rows[trial.id]
            if status == "failed":
                break
            if len(self.definition.objectives) == 1:
                study.report(suggestion.number, step, study.standing(suggestion.number).means[step - 1][0])
                if not known and step < len(suggestion.trials) and study.hopeless(suggestion.number):
                    for rest in suggestion.trials[step:]:
                        row = self.row(0.0, rest, "pruned", study.name)
                        self.rows[rest.id] = study._rows[rest.id] = row
                    break
        if until is None:
            study.tell(suggestion.number)


def params(made):
    return [made.suggestions[number]["params"] for number in sorted(made.suggestions)]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_a_search_that_starts_again_goes_on_as_if_it_had_not_stopped(definition, sampler, pruner):
    whole, parts = Made(definition(sampler=sampler, pruner=pruner)), Made(definition(sampler=sampler, pruner=pruner))
    whole.run(whole.study(), 16)
    for count in (3, 9, 4):
        parts.run(parts.study(), count)
    assert params(parts) == params(whole)
    assert parts.rows.keys() == whole.rows.keys()
    assert any(row["status"] == "pruned" for row in whole.rows.values())


def test_several_objectives_start_again_too(definition):
    changes = {"objective": ["forget_gap", "retain_gap", "cost"], "sampler": "nsga2"}
    whole, parts = Made(definition(**changes)), Made(definition(**changes))
    whole.run(whole.study(), 16)
    for count in (5, 8, 3):
        parts.run(parts.study(), count)
    assert params(parts) == params(whole)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_that_resumes_does_not_replay_its_cold_start(definition, sampler):
    made = Made(definition(sampler=sampler))
    made.run(made.study(), 6)
    first = params(made)
    made.run(made.study(), 6)
    assert set(params(made)[6:]).isdisjoint(first)


def test_an_unfinished_suggestion_is_asked_for_first_and_not_drawn_again(definition):
    made = Made(definition())
    made.run(made.study(), 4)
    study = made.study()
    suggestion = study.ask()
    made.suggestions[suggestion.number] = study.row(suggestion)
    made.run_seeds(study, suggestion, until=1)

    again = made.study()
    assert again.unasked == 12
    resumed = again.ask()
    assert (resumed.number, resumed.params) == (suggestion.number, suggestion.params)
    assert [row is not None for row in again.rows(resumed)] == [True, False]
    assert again.ask().number == 5


def test_a_suggestion_whose_row_is_lost_is_suggested_again_and_none_is_lost_beside_it(definition):
    made = Made(definition(sampler="random"))
    made.run(made.study(), 6)
    lost = made.suggestions.pop(2)
    study = made.study()
    assert study.unasked == 11
    suggestion = study.ask()
    assert suggestion.number == 2
    assert study.row(suggestion)["params"] == lost["params"]


def test_what_optuna_is_told_of_ends_is_what_rows_say(definition):
    made = Made(definition(sampler="random", pruner="median"))
    made.run(made.study(), 2, status="diverged")
    made.run(made.study(), 1, status="failed")
    made.run(made.study(), 12)
    study = made.study()
    states = [trial.state.name for trial in study.optuna.trials]
    assert states[:3] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert states.count("PRUNED") == sum(row["status"] == "pruned" for row in made.rows.values()) > 0
    assert study.optuna.trials[0].value == 100.0
    for number, trial in enumerate(study.optuna.trials):
        means = [mean for (mean,) in study.standing(number).means]
        assert list(trial.intermediate_values.values()) == means


def test_the_best_is_the_lowest_complete_value_within_the_budget(definition):
    made = Made(definition(pruner="none"))
    made.run(made.study(), 16)
    study = made.study()
    [best] = study.best()
    values = [study.standing(number).values for number in range(16)]
    assert values[best.number] == min(values)


def test_a_larger_budget_and_another_pruner_continue_the_study_and_anything_else_does_not(definition):
    name = definition().name
    assert name.startswith("uam-")
    assert definition(trials=99, pruner="asha").name == name
    others = [
        definition(seeds=[0, 2]),
        definition(sampler="random"),
        definition(sampler_seed=1),
        definition(objective="forget_gap"),
        definition(methods=[{"name": "uam", "rho": {"low": 1}}]),
        definition(methods=[{"name": "uam", "momentum": 0.5}]),
    ]
    assert len({name, *(other.name for other in others)}) == 7


def test_suggestions_of_equal_hyperparameters_share_their_trials(definition):
    made = Made(definition(methods=[{"name": "finetune", "epochs": [1, 2], "lr": 0.01}], sampler="random"))
    study = made.study()
    trials = {study.row(study.ask())["trial_ids"][0] for _ in range(16)}
    assert len(trials) == 2
