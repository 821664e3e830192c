"""What a search prints at its end: each method before and after tuning, and what the pruner saved."""

from __future__ import annotations

from rich.console import Console

from analysis.methods_table import methods_table, render_rich
from analysis.reading.frames import read_trials
from analysis.reading.tuning import TUNED
from sweep.cli.exit_status import tell_ends
from sweep.search.phases import Found, Plan, saved
from sweep.store.status import ended


def print_outcome(console: Console, where: str, plan: Plan, found: Found, budgeted: bool = False) -> int:
    """Print the comparison on the confirmation seeds; the exit status."""
    console.print()
    for study in found.studies:
        counted = [study.standing(number).state for number in study.suggestions]
        best = study.best()
        words = ", ".join(f"{counted.count(state)} {state}" for state in dict.fromkeys(sorted(counted)))
        console.print(f"{study.name}: {len(counted)} suggestions: {words}", highlight=False, soft_wrap=True)
        for suggestion in best:
            values = study.named(study.standing(suggestion.number).values or ())
            line = f"  best: suggestion {suggestion.number}: {values} ({study.drawn(suggestion)})"
            console.print(line, highlight=False, soft_wrap=True)
    pruned, total, share = saved(found)
    if pruned:
        console.print(f"pruned: {pruned} of {total} search trials were not run, about {share:.0%} of their time")

    baselines = {trial.id for trial in plan.baselines}
    tuned = [{trial.id for trial in confirmed} for confirmed in found.tuned.values()]
    trials = read_trials(where, baselines.union(*tuned))
    parts = [trials[trials["trial_id"].isin(baselines)]]
    for confirmed in tuned:
        rows = trials[trials["trial_id"].isin(confirmed)]
        parts.append(rows.assign(method=rows["method"] + TUNED))
    import pandas as pd

    render_rich(methods_table(pd.concat(parts, ignore_index=True)), console)
    return _status(console, where, plan, found, budgeted)


def _status(console: Console, where: str, plan: Plan, found: Found, budgeted: bool) -> int:
    known = [*plan.references, *plan.baselines, *(trial for trials in found.tuned.values() for trial in trials)]
    missing = {trial.id for trial in known if not ended(found.rows.get(trial.id))}
    undrawn = sum(definition.budget * len(definition.retrain) for definition in plan.studies)
    for study in found.studies:
        for suggestion in study.wanted():
            known.extend(suggestion.trials)
            undrawn -= len(suggestion.trials)
            if study.standing(suggestion.number).state == "unfinished":
                missing |= {trial.id for trial in suggestion.trials if not ended(found.rows.get(trial.id))}
    failed = {trial.id for trial in known if trial.id in found.rows and found.rows[trial.id]["status"] == "failed"}
    return tell_ends(console, where, len(failed), len(missing) + undrawn, budgeted)
