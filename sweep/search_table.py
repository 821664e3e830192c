"""What a search prints at its end: each method before and after tuning, and what the pruner saved."""

from __future__ import annotations

from rich.console import Console

from analysis.frames import read_trials
from analysis.methods_table import methods_table, render_rich
from analysis.tuning import TUNED
from sweep.search import Found, Plan, saved


def print_outcome(console: Console, where: str, plan: Plan, found: Found) -> int:
    """Print the comparison on the confirmation seeds; the exit status."""
    console.print()
    for study in found.studies:
        counted = [study.standing(number).state for number in study.suggestions]
        best = study.best()
        words = ", ".join(f"{counted.count(state)} {state}" for state in dict.fromkeys(sorted(counted)))
        console.print(f"{study.name}: {len(counted)} suggestions: {words}", highlight=False, soft_wrap=True)
        for suggestion in best:
            values = study.standing(suggestion.number).values or ()
            named = ", ".join(
                f"{name} {value:.2f}" for name, value in zip(study.definition.objectives, values, strict=True)
            )
            drawn = study.definition.space.drawn(suggestion.params).items()
            params = ", ".join(
                f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in drawn
            )
            console.print(f"  best: {suggestion.number}: {named} ({params})", highlight=False, soft_wrap=True)
    pruned, total, share = saved(found)
    if pruned:
        console.print(f"pruned: {pruned} of {total} search trials were not run, about {share:.0%} of their time")

    trials, _ = read_trials(where)
    baselines = trials[trials["trial_id"].isin({trial.id for trial in plan.baselines})]
    parts = [baselines]
    for confirmed in found.tuned.values():
        rows = trials[trials["trial_id"].isin({trial.id for trial in confirmed})]
        parts.append(rows.assign(method=rows["method"] + TUNED))
    import pandas as pd

    render_rich(methods_table(pd.concat(parts, ignore_index=True)), console)
    return _status(console, where, plan, found)


def _status(console: Console, where: str, plan: Plan, found: Found) -> int:
    tuned = [trial.id for trials in found.tuned.values() for trial in trials]
    searched = [
        trial.id for study in found.studies for suggestion in study.suggestions.values() for trial in suggestion.trials
    ]
    ids = {*(trial.id for trial in (*plan.references, *plan.baselines)), *tuned, *searched}
    failed = sum(found.rows[trial_id]["status"] == "failed" for trial_id in ids if trial_id in found.rows)
    missing = sum(trial_id not in found.rows for trial_id in ids)
    console.print(f"results: {where}", soft_wrap=True)
    if failed:
        console.print(f"{failed} trials failed: unlearn-sweep status {where}", soft_wrap=True)
    if missing:
        console.print(f"{missing} trials have no row; the same command runs them", soft_wrap=True)
    return 1 if failed or missing else 0
