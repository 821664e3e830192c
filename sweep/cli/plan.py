"""The command `plan`, and what is left of a sweep to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sweep.cli import arguments
from sweep.cli.arguments import OutOption, SetOption, ShardOption, SpecArgument, shard_named
from sweep.cli.messages import located, warn, warn_of_damage
from sweep.cli.plan_table import print_forecast, print_table
from sweep.errors import InputError
from sweep.spec.source import Overrides, Source, called
from sweep.words import counted

if TYPE_CHECKING:
    from sweep.plan.pending import Again
    from sweep.plan.shards import Shard
    from sweep.plan.trials import Trial
    from sweep.spec.sweep_spec import Spec


def plan(
    spec: SpecArgument = "digits",
    out: OutOption = None,
    overrides: SetOption = None,
    shard: ShardOption = None,
    forecast: arguments.ForecastOption = True,
) -> None:
    """Count a sweep's trials and originals, what exists already, and how long the rest would take. Runs nothing."""
    from sweep.cli.search_plan import only_searches, plan_of_search
    from sweep.plan.check import check_task
    from sweep.plan.pending import of_other_code, with_fewer_predictions
    from sweep.plan.relearning import asked_relearning, relearning_words

    part, console = shard_named(shard), Console(markup=False)
    if (searched := only_searches(spec, overrides)) is not None:
        plan_of_search(console, spec, searched, out, forecast)
        return
    loaded, whole, left, where, rows, again = planned(spec, overrides, out)
    trials, left = share(part, whole, left, where)
    checked = located(spec, lambda: check_task(loaded, warn)) if left else None
    print_plan(console, loaded.name if loaded.search is None else f"run {loaded.name}", trials, left, where)
    if part is not None:
        own = f"shard {part.number} of {part.count}: {len(trials)} of {counted(len(whole), 'trial')}"
        console.print(own, highlight=False, soft_wrap=True)
    console.print(seeds_words(loaded.seeds), highlight=False, soft_wrap=True)
    for grid in loaded.forget:
        console.print(f"forget: {grid.words()}", highlight=False, soft_wrap=True)
    for line in [
        *of_other_code(loaded, trials, left, rows),
        *with_fewer_predictions(trials, left, rows, loaded.predictions),
        *relearning_words({trial.id for trial in trials}, again.unrelearned, asked_relearning(loaded)),
    ]:
        console.print(line, highlight=False, soft_wrap=True)
    if forecast and checked is not None:
        from sweep.engine.pace import here
        from sweep.engine.schedule import GridSchedule
        from sweep.store.original_labels import stored_originals
        from sweep.store.results import Results

        jobs = GridSchedule(left, stored_originals(Results(where), [trial.original_id for trial in left])).jobs
        print_forecast(console, here(loaded, checked).expect(jobs))
    if loaded.search is not None:
        console.print(f"and {search_words(loaded)}: unlearn-sweep search {spec}", highlight=False, soft_wrap=True)
        told = warn if checked is None else (lambda remark: None)
        plan_of_search(console, spec, loaded, out, forecast, told)


def planned(
    spec: Source, overrides: Overrides | None, out: str | None, refresh: bool = False, retry_failed: bool = False
) -> tuple[Spec, list[Trial], list[Trial], str, dict[str, dict[str, Any]], Again]:
    """What a sweep has, and what is left of it.

    Returns:
        The spec; all its trials; the trials that are to be run; the results directory; its rows by trial id, with the
        columns that tell whether a trial is to be run; and which trials are run again though they have a row.
    """
    from sweep.plan.pending import Again, pending
    from sweep.plan.relearning import asked_relearning, unrelearned
    from sweep.plan.trials import plan_trials
    from sweep.spec.sweep_spec import load_spec
    from sweep.store.results import Results

    loaded = load_spec(spec, overrides)
    if not loaded.methods:
        name = called(spec)
        raise InputError(f"{name}: methods: required, and missing; to run its search: unlearn-sweep search {name}")
    where = out or f"results/{loaded.name}"
    results = Results(where)
    located(spec, lambda: loaded.find_lists(results))
    trials = located(spec, lambda: plan_trials(loaded))
    versions, predictions = ("code_version", "original_version"), ("n_predictions", "kept_predictions")
    found = results.trials(["status", "study", *versions, *predictions, "finished_at"])
    warn_of_damage(found)
    rows = {row["trial_id"]: row for row in found.table.to_pylist()}
    missing = unrelearned(results, rows, asked_relearning(loaded), warn_of_damage)
    again = Again(refresh, retry_failed, loaded.predictions, missing)
    return loaded, trials, pending(trials, rows, again), where, rows, again


def share(shard: Shard | None, trials: list[Trial], left: list[Trial], where: str) -> tuple[list[Trial], list[Trial]]:
    """Those of a sweep's trials that are in a shard, and those of them that are left; without a shard, all.

    At a URI, where no file can be locked, all trials of an original are in one shard.
    """
    if shard is None:
        return trials, left
    from sweep.store.location import local_path

    own = shard.of(trials, whole_originals=local_path(where) is None)
    names = {trial.id for trial in own}
    return own, [trial for trial in left if trial.id in names]


def print_plan(console: Console, name: str, trials: Sequence[Trial], left: Sequence[Trial], where: str) -> None:
    """Print for each method how many trials are done and how many are `left`, and how many originals are trained."""
    from sweep.store.original_labels import stored_originals
    from sweep.store.results import Results

    counts, remaining = (Counter(trial.method for trial in some) for some in (trials, left))
    parts = [(method, count, count - remaining[method]) for method, count in counts.items()]
    print_table(console, f"{name} in {where}", "method", parts, "all")
    results = Results(where)
    originals = {trial.original_id for trial in trials if trial.original_id is not None}
    stored = len(stored_originals(results, originals))
    console.print(f"{counted(len(originals), 'original model')}, {stored} of them trained")


def seeds_words(seeds: Sequence[int]) -> str:
    """How many seeds a sweep has, and which: `seeds: 3` is the seed 3, and not three of them."""
    ordered = sorted(set(seeds))
    row = len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1
    which = f"{ordered[0]} to {ordered[-1]}" if row else ", ".join(map(str, ordered))
    return f"{counted(len(ordered), 'seed')}: {which}"


def search_words(spec: Spec) -> str:
    """How large a spec's search is. Its trials are in no plan, because each suggestion depends on those before it."""
    search = spec.search
    assert search is not None
    studies = len(search.methods) * sum(len(grid.sets()) for grid in spec.forget)
    count = "" if studies == 1 else f"{studies} x "
    seeds = "" if len(search.seeds) == 1 else f" x {len(search.seeds)} seeds"
    more = counted(len(search.confirm_seeds), "other seed")
    if search.compute is not None:
        return f"a search of {count}the passes of {search.compute:g} Retrains, its best on {more}"
    return f"a search of {count}{counted(search.trials, 'suggestion')}{seeds}, its best on {more}"
