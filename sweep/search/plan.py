"""What is known of a search before its first suggestion: its studies, and the trials that are no suggestions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.errors import InputError
from sweep.plan.pending import Again
from sweep.plan.trials import Trial, plan_trials
from sweep.search.definition import Definition, define_studies
from sweep.spec.plugins import find_method
from sweep.spec.search_section import SearchSpec
from sweep.spec.sweep_spec import MethodSpec, Spec
from sweep.store.status import Row, ended


@dataclass(frozen=True)
class Plan:
    """What is known of a search before its first suggestion.

    Attributes:
        references: Retrain on the search seeds.
        originals: trials that are not run, but whose originals are trained beforehand, on the search seeds: the
            ordinary ones, and those of a method that shapes training, if its study has one way to shape it. If the
            study draws what shapes training, the first trial that needs an original trains it.
        studies: one for each method and task.
        baselines: Retrain and the entries of the spec's `methods` on the confirmation seeds.
    """

    references: list[Trial]
    originals: list[Trial]
    studies: list[Definition]
    baselines: list[Trial]


def plan_search(spec: Spec) -> Plan:
    """Plan the trials of a search that are known beforehand, and its studies.

    Raises:
        InputError: the spec has no search, or the dataset is missing.
    """
    search = search_section(spec)

    def planned(methods: list[MethodSpec], seeds: list[int]) -> list[Trial]:
        return plan_trials(spec.model_copy(update={"methods": methods, "seeds": seeds}))

    retrain = MethodSpec(name="retrain")
    references = planned([retrain], search.seeds)
    by_task: dict[str, tuple[Trial, ...]] = {}
    for trial in references:
        by_task[trial.task_id] = (*by_task.get(trial.task_id, ()), trial)
    studies = define_studies(search, by_task)
    searched = [find_method(entry.name) for entry in search.methods]
    ordinary = any(method.needs_original and method.shapes_training is None for method in searched)
    shaped = [trial for study in studies for trial in _shaped_in_one_way(study)]
    named = {entry.name for entry in spec.methods}
    return Plan(
        references=references,
        originals=[*(planned([MethodSpec(name="original")], search.seeds) if ordinary else []), *shaped],
        studies=studies,
        baselines=planned([*([] if "retrain" in named else [retrain]), *spec.methods], search.confirm_seeds),
    )


def within_budget(studies: Sequence[Definition], suggestions: Iterable[Row]) -> list[Row]:
    """The rows of `suggestions` that these studies ask for."""
    budgets = {study.name: study.budget for study in studies}
    return [each for each in suggestions if each["number"] < budgets.get(each["study"], 0)]


def to_run(trial: Trial, row: Row | None, again: Again) -> bool:
    """Whether a search has to run a trial that has this row."""
    return row is None or not ended(row) or again.wants(trial, row)


def search_section(spec: Spec) -> SearchSpec:
    """The search of a spec. Raises InputError if it has none."""
    if spec.search is None:
        raise InputError("search: required, and missing")
    return spec.search


def _shaped_in_one_way(study: Definition) -> tuple[Trial, ...]:
    """Trials that start from the same originals as every suggestion of a study; none if originals differ."""
    shaping = find_method(study.method).shapes_training
    if shaping is None or not set(shaping) <= set(study.space.fixed):
        return ()
    return study.trials(study.space.defaults | study.space.fixed, study.retrain)
