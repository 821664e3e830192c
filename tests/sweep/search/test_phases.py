"""Whole searches in this process, on the smallest settings."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import optuna
import pytest
import torch
import yaml
from plugin_examples import Raises
from rich.console import Console

from methods import Retrain
from sweep.engine.driver import Request
from sweep.engine.inline import INLINE
from sweep.errors import InputError, Unsuccessful
from sweep.plan.code_version import code_version
from sweep.plan.pending import NOTHING, Again
from sweep.plan.trials import plan_trials, trial_for
from sweep.search.objective import standing
from sweep.search.phases import Found, of_other_code, run_search, saved
from sweep.search.plan import plan_search
from sweep.store.originals import Original, load_original, store_original
from sweep.tasks.datasets import Digits
from sweep.trial.worker import Worker

TWO_METHODS = [
    {"name": "uam", "epochs": 1, "rho": {"high": 2}},
    {"name": "plugin_examples:Filled", "exponent": [0, 1, 39]},
]


@pytest.fixture
def search_of(make_spec, results):
    """Run a search inline in the test's results directory."""

    def run(storage=None, told=None, again=NOTHING, time_budget=None, **changes) -> Found:
        section = {"methods": TWO_METHODS, "trials": 4, "seeds": [0, 1], "confirm_seeds": [7]} | changes.pop(
            "search", {}
        )
        spec = make_spec(
            **({"dataset": {"name": "digits", "limit": 200, "validation": 0.1}, "search": section} | changes)
        )
        request = Request(
            spec,
            results.location,
            INLINE,
            storage=storage,
            again=again,
            time_budget=time_budget,
            console=Console(quiet=True),
            tell=(told if told is not None else []).append,
        )
        return run_search(request, plan_search(spec))

    return run


def trials(results):
    return {row["trial_id"]: row for row in results.trials().table.to_pylist()}


def suggestions(results):
    return results.suggestions().table.to_pylist()


def test_each_method_gets_its_suggestions_and_its_best_is_confirmed_on_other_seeds(search_of, results):
    told = []
    found = search_of(told=told)
    rows = trials(results)
    assert set(told) == {name for name, row in rows.items() if row["status"] != "pruned"}
    for study in found.studies:
        own = [row for row in suggestions(results) if row["study"] == study.name]
        assert [row["number"] for row in own] == [0, 1, 2, 3]
        assert all(
            rows[name]["seed"] == seed for row in own for name, seed in zip(row["trial_ids"], [0, 1], strict=True)
        )
        [best] = [row for row in own if row["confirm_trial_ids"]]
        assert best["number"] == study.best()[0].number
        [confirmed] = best["confirm_trial_ids"]
        assert (rows[confirmed]["seed"], rows[confirmed]["study"]) == (7, study.name)
        assert rows[confirmed]["params"] == best["params"]
    baselines = {(row["method"], row["seed"]): row["study"] for row in rows.values() if row["study"] is None}
    assert baselines == dict.fromkeys([("retrain", 0), ("retrain", 1), ("retrain", 7), ("finetune", 7)])


def test_the_same_search_again_runs_nothing(search_of, results):
    search_of()
    before = {info.path: info.mtime_ns for folder in ("trials", "suggestions") for info in results.files(folder)}
    search_of()
    after = {info.path: info.mtime_ns for folder in ("trials", "suggestions") for info in results.files(folder)}
    assert after == before


def test_a_larger_budget_continues_the_studies(search_of, results):
    search_of(search={"methods": TWO_METHODS[:1]})
    before = suggestions(results)
    search_of(search={"methods": TWO_METHODS[:1], "trials": 6})
    after = suggestions(results)
    assert [row["number"] for row in after] == [0, 1, 2, 3, 4, 5]
    assert [row["params"] for row in after[:4]] == [row["params"] for row in before]


def test_test_data_is_never_read_by_the_search(search_of, results, make_spec, monkeypatch, tmp_path):
    def tried(found):
        return [
            (study.name, number, suggestion.params)
            for study in found.studies
            for number, suggestion in study.suggestions.items()
        ]

    section = {"methods": TWO_METHODS[:1], "trials": 12, "sampler": "tpe"}
    plain = search_of(search=section)
    load = Digits.load

    def scrambled(self):
        images = load(self)
        labels = np.random.default_rng(0).permutation(images.test_labels)
        return type(images)(images.train_images, images.train_labels, images.test_images, labels, images.classes)

    monkeypatch.setattr(Digits, "load", scrambled)
    results._root = str(tmp_path / "scrambled")
    results.location = str(tmp_path / "scrambled")
    other = search_of(search=section)
    assert tried(other) == tried(plain)

    def accuracies(found, name):
        return [row[name] for row in found.rows.values() if row["status"] == "ok"]

    assert accuracies(other, "validation_accuracy") == accuracies(plain, "validation_accuracy")
    assert accuracies(other, "test_accuracy") != accuracies(plain, "test_accuracy")


def test_rows_of_a_grid_are_used_and_not_run_again(search_of, results, make_spec, make_worker):
    from sweep.trial.job import Job

    data = {"name": "digits", "limit": 200, "validation": 0.1}
    grid = make_spec(dataset=data, seeds=[0, 1], methods=[{"name": "finetune", "epochs": [1, 2], "lr": 0.01}])
    for trial in plan_trials(grid):
        make_worker().run(Job(trial))
    before = trials(results)
    search_of(
        search={"methods": [{"name": "finetune", "epochs": [1, 2], "lr": 0.01}], "trials": 6},
        methods=[{"name": "retrain"}],
    )
    after = trials(results)
    assert {name: after[name] for name in before} == before
    assert len(suggestions(results)) == 6
    assert {name for row in suggestions(results) for name in row["trial_ids"]} == set(before)


def test_a_diverged_trial_counts_as_worst_and_a_failed_one_fails_its_suggestion(search_of, results):
    methods = [{"name": "plugin_examples:Filled", "exponent": [0, 39]}]
    found = search_of(search={"methods": methods, "trials": 6, "pruner": "none"})
    [study] = found.studies
    values = {study.suggestions[n].params["exponent"]: study.standing(n).values for n in range(6)}
    assert values[39] == (100.0,)
    assert values[0][0] < 100

    broken = search_of(search={"methods": [{"name": "plugin_examples:Raises", "times": [1000, 2000]}], "trials": 2})
    [study] = broken.studies
    assert [study.standing(number).state for number in range(2)] == ["failed", "failed"]
    assert study.best() == []
    rows = [trials(results)[name] for name in suggestions(results)[-1]["trial_ids"]]
    assert [row["status"] for row in rows] == ["failed", "pruned"]
    assert rows[1]["error"] == "seed 0 failed"


def test_pruned_suggestions_leave_rows_without_metrics_that_a_run_would_run(search_of, results):
    found = search_of(search={"methods": TWO_METHODS[:1], "trials": 16, "pruner": "median"})
    pruned = [row for row in trials(results).values() if row["status"] == "pruned"]
    assert pruned
    assert all(
        row["retain_accuracy"] is None and row["error"].startswith("median pruner: average_gap") for row in pruned
    )
    assert all(row["study"] == found.studies[0].name for row in pruned)
    count, total, share = saved(found)
    assert (count, total) == (len(pruned), 32)
    assert 0 < share < 1


def test_several_objectives_confirm_the_front(search_of, results):
    found = search_of(search={"methods": TWO_METHODS[:1], "trials": 6, "objective": ["forget_gap", "cost"]})
    [study] = found.studies
    confirmed = {row["number"] for row in suggestions(results) if row["confirm_trial_ids"]}
    assert confirmed == {suggestion.number for suggestion in study.best()}
    values = {number: study.standing(number).values for number in range(6)}
    for number, point in values.items():
        beaten = any(
            all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in values.values()
        )
        assert (number in confirmed) != beaten


def test_what_a_suggestion_came_to_can_be_derived_from_rows_alone(search_of, results):
    found = search_of(search={"methods": TWO_METHODS[:1]})
    rows = trials(results)
    retrain = {row["seed"]: row for row in rows.values() if row["method"] == "retrain"}
    for row in suggestions(results):
        ended = [rows[name] for name in row["trial_ids"]]
        derived = standing(ended, [retrain[each["seed"]] for each in ended], row["objectives"])
        assert derived == found.studies[0].standing(row["number"])
        assert json.loads(row["space"])["rho"] == {"type": "float", "low": 0.1, "high": 2.0, "log": True}


def test_retrain_that_does_not_end_ok_leaves_nothing_to_compare_with(search_of, results):
    with pytest.raises(InputError, match="retrain on seed 0: diverged, so there is nothing to compare with"):
        search_of(model={"name": "plugin_examples:exploding"})
    assert suggestions(results) == []


def test_a_retrain_that_failed_is_run_again_when_asked(search_of, results, monkeypatch):
    def exhausted(self, task):
        raise RuntimeError("CUDA out of memory")

    section = {"methods": TWO_METHODS[:1], "trials": 1}
    with monkeypatch.context() as patch:
        patch.setattr(Retrain, "unlearn", exhausted)
        for again in (NOTHING, NOTHING, Again(failed=True)):
            with pytest.raises(Unsuccessful, match=r"seed 0: failed, .*: CUDA out of memory; --retry-failed runs it"):
                search_of(search=section, again=again)
    with pytest.raises(Unsuccessful):
        search_of(search=section)
    assert suggestions(results) == []
    assert search_of(search=section, again=Again(failed=True)).studies[0].ended


FAILING = {"methods": [{"name": "plugin_examples:Raises", "times": {"low": 1000, "high": 10**6}}], "trials": 3}


def test_a_failed_suggestion_is_run_again_when_asked_under_its_number(search_of, results, monkeypatch):
    search_of(search=FAILING)
    before = suggestions(results)
    monkeypatch.setattr(Raises, "unlearn", lambda self, task: task.model)
    assert search_of(search=FAILING).studies[0].best() == []
    [study] = search_of(search=FAILING, again=Again(failed=True)).studies
    assert [study.standing(number).state for number in range(3)] == ["complete"] * 3
    names = ("number", "params", "trial_ids")
    assert [[row[name] for name in names] for row in suggestions(results)] == [
        [row[name] for name in names] for row in before
    ]
    assert {row["status"] for row in trials(results).values()} == {"ok"}


@pytest.mark.parametrize("more", [0, 1])
def test_a_search_killed_while_it_runs_failed_suggestions_again_goes_on(search_of, results, monkeypatch, more):
    """It is killed before the first seed of such a suggestion, or after it."""
    search_of(search=FAILING)
    monkeypatch.setattr(Raises, "unlearn", lambda self, task: task.model)
    ran, run = [], Worker.run

    def killed(self, job):
        if len(ran) == more:
            raise KeyboardInterrupt
        ran.append(job)
        return run(self, job)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            search_of(search=FAILING, again=Again(failed=True))
    for again, states in ((NOTHING, ["complete", "failed", "failed"]), (Again(failed=True), ["complete"] * 3)):
        [study] = search_of(search=FAILING, again=again).studies
        assert [study.standing(number).state for number in range(3)] == states


def test_what_another_code_version_wrote_is_run_again_when_asked(search_of, results):
    section = {"methods": TWO_METHODS[:1], "pruner": "none"}
    search_of(search=section)
    old = [suggestions(results)[1]["trial_ids"][0], next(iter(trials(results)))]
    for name in old:
        results.write_trial(trials(results)[name] | {"code_version": "0.0.1+old"})
    told = []
    search_of(search=section, told=told)
    assert told == []
    search_of(search=section, told=told, again=Again(refresh=True))
    assert set(told) >= set(old)
    assert "0.0.1+old" not in {row["code_version"] for row in trials(results).values()}


def test_what_another_code_version_wrote_is_told(make_spec):
    section = {"methods": TWO_METHODS, "trials": 1, "seeds": [0], "confirm_seeds": [7]}
    spec = make_spec(dataset={"name": "digits", "limit": 200, "validation": 0.1}, search=section)
    plan = plan_search(spec)
    study = next(one for one in plan.studies if ":" in one.method)

    def row(trial_id, method, version, status="ok"):
        known = {"dataset": "digits", "model": "small-cnn", "validation_mia": 50.0, "original_version": None}
        return known | {"trial_id": trial_id, "method": method, "code_version": version, "status": status}

    plugin = f"{code_version()}+{'0' * 8}"
    rows = [row(plan.references[0].id, "retrain", code_version()), row(plan.baselines[0].id, "retrain", "0.0.1+old")]
    rows += [row(name, study.method, plugin) for name in ("first", "best", "beyond", "another")]
    rows.append(row("given up", study.method, plugin, "pruned"))
    asked = {"study": study.name, "number": 0, "trial_ids": ["first", "given up"], "confirm_trial_ids": ["best"]}
    suggested = [asked, asked | {"number": 1, "trial_ids": ["beyond"]}, asked | {"study": "of another search"}]
    assert of_other_code(plan, suggested, rows) == [
        f"1 trial done before by code version 0.0.1+old, not {code_version()}; --refresh repeats it",
        f"2 trials done before by another version of {study.method}; --refresh repeats them",
    ]


def test_an_original_that_a_method_shapes_is_trained_again_where_another_code_version_trained_it(search_of, results):
    section = {"methods": [{"name": "plugin_examples:Sharded", "shards": [2, 3]}], "trials": 1, "pruner": "none"}
    search_of(search=section)
    before = trials(results)
    for row in before.values():
        if row["method"] == "plugin_examples:Sharded":
            original_id = trial_for(json.loads(row["config"])).original_id
            original = load_original(results, original_id)
            zeros = {key: torch.zeros_like(value) for key, value in original.state.items()}
            store_original(results, original_id, Original(zeros, "0.0.1+old"))
            results.write_trial(row | {"original_version": "0.0.1+old", "mia": 0.0})
    told = []
    search_of(search=section, told=told, again=Again(refresh=True))
    assert len(told) == 3
    metrics = ("original_version", "mia", "retain_accuracy", "status")
    assert {name: [row[key] for key in metrics] for name, row in trials(results).items()} == {
        name: [row[key] for key in metrics] for name, row in before.items()
    }
    search_of(search=section, told=told, again=Again(refresh=True))
    assert len(told) == 3


SHAPED = [
    {"name": "amnesiac", "train_batch": 50, "epochs": {"low": 0, "high": 2}, "lr": [0.01, 0.1]},
    {"name": "sisa", "shards": 2, "slices": 1},
]


@pytest.mark.parametrize("entry", SHAPED, ids=["amnesiac", "sisa"])
def test_originals_that_all_suggestions_share_are_trained_before_the_first(
    search_of, make_spec, results, monkeypatch, entry
):
    trained, new_original = [], Worker._new_original

    def noted(worker, trial, setting):
        trained.append((trial.original_id, len(suggestions(results))))
        return new_original(worker, trial, setting)

    monkeypatch.setattr(Worker, "_new_original", noted)
    section = {"methods": [entry], "trials": 2, "pruner": "none"}
    found = search_of(search=section)
    rows = trials(results)
    of_study = [rows[trial.id] for each in found.studies[0].suggestions.values() for trial in each.trials]
    assert [row["status"] for row in of_study] == ["ok"] * len(of_study)
    needed = {trial_for(json.loads(row["config"])).original_id for row in of_study}
    assert [when for name, when in trained if name in needed] == [0, 0]
    assert len(needed) == len({row["seed"] for row in of_study}) == 2
    confirmed = [rows[trial.id] for tuned in found.tuned.values() for trial in tuned]
    assert [(row["seed"], row["status"]) for row in confirmed] == [(7, "ok")]


def test_originals_that_a_search_draws_are_trained_when_they_are_needed(search_of, make_spec):
    entry = {"name": "sisa", "shards": [1, 2, 3], "slices": 1, "aggregation": "mean"}
    section = {
        "methods": [entry],
        "trials": 3,
        "sampler": "random",
        "pruner": "none",
        "seeds": [0],
        "confirm_seeds": [7],
    }
    found = search_of(search=section)
    assert {found.studies[0].standing(number).state for number in range(3)} == {"complete"}
    spec = make_spec(dataset={"name": "digits", "limit": 200, "validation": 0.1}, search=section)
    assert plan_search(spec).originals == []


def test_what_is_to_be_run_again_and_was_not_for_lack_of_time_counts_as_not_run(search_of, results):
    section = {"methods": TWO_METHODS[:1], "trials": 2}
    whole = search_of(search=section)
    retrain = [row for row in trials(results).values() if row["method"] == "retrain" and row["seed"] in (0, 1)]
    for row in retrain:
        results.write_trial(row | {"code_version": "0.0.1+old"})
    found = search_of(search=section, again=Again(refresh=True), time_budget=0)
    assert (found.studies, {row["trial_id"] for row in retrain} & set(found.rows)) == ([], set())
    found = search_of(search=section, again=Again(refresh=True), time_budget=3600)
    assert set(found.rows) == set(whole.rows)


def test_a_tuned_configuration_that_is_an_untuned_one_is_run_once_and_belongs_to_both(search_of, results):
    space, told = {"name": "finetune", "epochs": 1, "lr": [0.01, 0.02]}, []
    search_of(search={"methods": [space], "trials": 2}, methods=[space], told=told)
    [chosen] = {name for row in suggestions(results) for name in row["confirm_trial_ids"]}
    assert told.count(chosen) == 1
    assert (trials(results)[chosen]["status"], trials(results)[chosen]["study"]) == ("ok", None)


def test_a_validation_share_of_no_sample_is_bad_input(search_of):
    with pytest.raises(InputError, match=r"dataset.validation: 0.002 of 200 samples is none, and a search judges on"):
        search_of(dataset={"name": "digits", "limit": 200, "validation": 0.002})


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_search_out_of_time_starts_nothing_more_and_goes_on_as_if_it_had_not_stopped(
    search_of, results, monkeypatch, tmp_path, count
):
    class Told(list):
        def append(self, name):
            super().append(name)
            if under_way and len(self) == count + 2:  # after two of Retrain
                under_way[0].stop()

    @contextmanager
    def spent(run, seconds):
        under_way.append(run)
        if count == 0:
            run.stop()
        yield

    section = {"methods": TWO_METHODS[:1], "pruner": "none"}
    search_of(search=section)
    whole = [(row["number"], row["params"], row["trial_ids"], row["confirm_trial_ids"]) for row in suggestions(results)]
    results._root = results.location = str(tmp_path / "stopped")
    under_way, told = [], Told()
    with monkeypatch.context() as patch:
        patch.setattr("sweep.engine.driver.deadline", spent)
        found = search_of(search=section, told=told, time_budget=3600)
    ran = count and count + 2
    assert (len(told), len(trials(results)), found.tuned) == (ran, ran, {})
    assert all(row["confirm_trial_ids"] == [] for row in suggestions(results))
    search_of(search=section)
    assert whole == [
        (row["number"], row["params"], row["trial_ids"], row["confirm_trial_ids"]) for row in suggestions(results)
    ]


def stored_studies(url):
    return {name: optuna.load_study(study_name=name, storage=url).trials for name in optuna.get_all_study_names(url)}


def test_the_studies_live_in_the_storage_and_continue_there(search_of, results, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    search_of(storage=url, search={"trials": 3})
    found = search_of(storage=url)
    stored = stored_studies(url)
    assert set(stored) == {study.name for study in found.studies}
    for study in found.studies:
        assert [trial.user_attrs["suggestion"] for trial in stored[study.name]] == [0, 1, 2, 3]
        assert [trial.values for trial in stored[study.name]] == [
            list(study.standing(n).values or ()) or None for n in range(4)
        ]
        assert all(trial.state.is_finished() for trial in stored[study.name])
    suggested = [(row["study"], row["number"], row["params"]) for row in suggestions(results)]
    monkeypatch.setattr(results, "_root", str(tmp_path / "in memory"))
    results.location = results._root
    search_of()
    assert [(row["study"], row["number"], row["params"]) for row in suggestions(results)] == suggested


def test_a_stored_study_that_says_otherwise_is_brought_up_to_the_rows(search_of, tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    [study] = search_of(search={"methods": TWO_METHODS[:1]}).studies
    wrong = optuna.create_study(storage=url, study_name=study.name)
    wrong.add_trial(optuna.trial.create_trial(value=0.0, user_attrs={"suggestion": 1}))
    search_of(storage=url, search={"methods": TWO_METHODS[:1]})
    assert [trial.value for trial in stored_studies(url)[study.name]] == [study.standing(n).values[0] for n in range(4)]


def test_a_storage_that_fails_midway_ends_the_search_in_one_line_and_loses_nothing(
    search_of, results, tmp_path, monkeypatch
):
    def broken(*arguments, **named):
        raise optuna.exceptions.StorageInternalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", broken)
        with pytest.raises(Unsuccessful, match="--storage: failed: disk full; what was stored"):
            search_of(storage=f"sqlite:///{tmp_path / 'studies.db'}")
    ran = set(trials(results))
    assert len(ran) == 4  # Retrain and a suggestion, on two seeds
    told = []
    search_of(told=told)
    assert ran.isdisjoint(told)
    assert len(suggestions(results)) == 8


@pytest.mark.parametrize("url", ["nowhere", "sqlite:////no/such/directory/x.db", "postgresql://a:secret@127.0.0.1:1/x"])
def test_a_storage_that_cannot_be_reached_is_bad_input_before_anything_runs(search_of, results, url):
    with pytest.raises(InputError, match="--storage: ") as caught:
        search_of(storage=url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not results.exists()


def test_a_spec_with_a_search_reads_back_equal(make_spec):
    from sweep.spec.sweep_spec import parse_spec

    spec = make_spec(dataset={"name": "digits", "validation": 0.1}, search={"methods": TWO_METHODS}, methods=[])
    assert parse_spec(yaml.safe_load(spec.to_yaml())) == spec
