"""The best of a search as a spec, its parts beforehand, and a budget of compute."""

from __future__ import annotations

import io

import pytest
import yaml
from rich.console import Console

from sweep.engine.driver import Request
from sweep.engine.forecast import Forecast
from sweep.engine.inline import INLINE
from sweep.errors import InputError
from sweep.plan.check import check_task
from sweep.plan.trials import plan_trials
from sweep.search.best import best_specs, require_writable, write_best
from sweep.search.expected import Expected
from sweep.search.phases import run_search, trial_rows
from sweep.search.plan import plan_search
from sweep.spec.sweep_spec import parse_spec

METHODS = [
    {"name": "finetune", "epochs": [1, 2], "lr": {"low": 0.001, "high": 0.1, "log": True}},
    {"name": "plugin_examples:Filled", "exponent": [0, 1, 39]},
]


@pytest.fixture
def made(make_spec):
    """A spec with a search; keyword arguments are keys of the search."""

    def make(methods=METHODS, forget=None, **changes):
        section = {"methods": methods, "trials": 3, "seeds": [0, 1], "confirm_seeds": [7]} | changes
        data = {"name": "digits", "limit": 200, "validation": 0.1}
        return make_spec(dataset=data, search=section, methods=[], training={"epochs": 2}, forget=forget or {})

    return make


def searched(spec, results):
    """What a search found, and what it printed."""
    console = Console(file=io.StringIO(), width=300)
    return run_search(Request(spec, results.location, INLINE, console=console), plan_search(spec)), console.file


def expected(spec, results):
    rows, suggestions = trial_rows(results), results.suggestions().table.to_pylist()
    return Expected(plan_search(spec), rows, suggestions, check_task(spec))


def counts(spec, results):
    return [(part.words.partition(":")[0], part.trials, part.done) for part in expected(spec, results).parts()]


def test_a_search_is_counted_before_and_after_and_its_best_is_a_spec_that_has_run(made, results):
    spec = made()
    assert [(trials, done) for _, trials, done in counts(spec, results)] == [
        (2, 0),
        (6, 0),
        (6, 0),
        (1, 0),
        (1, 0),
        (1, 0),
    ]
    found, _ = searched(spec, results)
    assert all(trials == done for _, trials, done in counts(spec, results))
    nothing = expected(spec, results).add_to(Forecast(check_task(spec), 2, 0.01), results)
    assert nothing.seconds_left(0) == 0

    [text] = best_specs(spec, found.studies)
    again = parse_spec(yaml.safe_load(text))
    stored = trial_rows(results)
    confirmed = {trial.id for trials in found.tuned.values() for trial in trials}
    assert confirmed < {trial.id for trial in plan_trials(again)}
    assert all(trial.id in stored for trial in plan_trials(again) if trial.method != "original")
    [best] = found.studies[0].best()
    assert f"{found.studies[0].name}, suggestion {best.number}: average_gap" in text


def test_of_several_forget_sets_each_has_a_spec_of_its_own(made, results):
    spec = made(METHODS[:1], {"ratio": [0.1, 0.2]}, trials=1)
    found, _ = searched(spec, results)
    texts = best_specs(spec, found.studies)
    assert [parse_spec(yaml.safe_load(text)).forget[0].ratio for text in texts] == [[0.1], [0.2]]
    ids = [{trial.id for trial in plan_trials(parse_spec(yaml.safe_load(text)))} for text in texts]
    tuned = [{trial.id for trial in trials} for trials in found.tuned.values()]
    assert all(theirs < ours for ours, theirs in zip(ids, tuned, strict=True))


def test_a_file_that_says_something_else_stays_and_none_is_written(tmp_path):
    path = str(tmp_path / "new" / "best.yaml")
    assert write_best(path, ["a: 1\n"]) == [path]
    assert write_best(path, ["a: 1\n"]) == [path]
    with pytest.raises(InputError, match=r"exists and says something else"):
        write_best(path, ["a: 2\n"])
    (tmp_path / "new" / "best-2.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"best-2.yaml exists"):
        write_best(path, ["a: 1\n", "a: 2\n"])
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == ["best-2.yaml", "best.yaml"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "'': name a file"),
        ("folder", "folder: Is a directory"),
        ("mine.yaml", "mine.yaml exists and says something else"),
        ("mine.yaml/best.yaml", "Not a directory"),
    ],
)
def test_a_file_that_the_best_cannot_be_written_into_is_refused_before(tmp_path, monkeypatch, made, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(InputError, match=message):
        require_writable(path, made())


def test_what_a_search_may_have_written_is_judged_at_its_end(tmp_path, made):
    several = made(forget={"ratio": [0.1, 0.2]})
    require_writable(str(tmp_path / "new" / "best.yaml"), several)
    (tmp_path / "best-1.yaml").write_text("# The best of a search, on its validation data:\n")
    require_writable(str(tmp_path / "best.yaml"), several)
    (tmp_path / "best-2.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"best-2.yaml exists and says something else"):
        require_writable(str(tmp_path / "best.yaml"), several)


def test_with_compute_every_method_suggests_until_its_passes_are_spent(made, results):
    cheap, dear = ({**METHODS[0], "epochs": epochs} for epochs in (1, 2))
    cheap["lr"] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]
    spec = made([cheap, dear], compute=4, trials=1000, pruner="none", sampler="random")
    found, printed = searched(spec, results)
    rows = trial_rows(results)
    for study, each in zip(found.studies, (0.5, 1.0), strict=True):  # of the two epochs of Retrain
        assert len(study.suggestions) == 4 / (2 * each)
        assert study.limit == len(study.suggestions)
        ran = {name for suggestion in study.suggestions.values() for name in [trial.id for trial in suggestion.trials]}
        assert {rows[name]["samples_processed"] for name in ran} == {each * 324}
    assert f"[4/4] {found.studies[0].name} 3 complete" in printed.getvalue()
    more = made([cheap, dear], compute=6, trials=1000, pruner="none", sampler="random")
    [_, both, *_] = counts(more, results)
    assert both == ("finetune", 12 + 6, 8 + 4)  # as many more as their passes allow
    found, _ = searched(more, results)
    assert [len(study.suggestions) for study in found.studies] == [6, 3]


def test_compute_alone_has_a_far_limit_of_suggestions(make_spec):
    section = {"methods": METHODS[:1], "compute": 2.5}
    spec = make_spec(dataset={"name": "digits", "validation": 0.1}, search=section)
    assert (spec.search.trials, spec.search.compute) == (1000, 2.5)
    assert parse_spec(yaml.safe_load(spec.to_yaml())).search == spec.search
    for wrong in (0, 1e308):
        with pytest.raises(InputError, match=r"search\.compute"):
            make_spec(dataset={"name": "digits", "validation": 0.1}, search=section | {"compute": wrong})


def test_study_names_do_not_depend_on_the_budget(made):
    names = [[study.name for study in plan_search(made(**budget)).studies] for budget in ({}, {"compute": 3})]
    assert names[0] == names[1]
