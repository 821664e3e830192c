"""What searches suggested and how it ended, as a table that the figures of searches share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from analysis.code_versions import also, code_words
from analysis.frames import LABELS, Frames
from analysis.selection import REFERENCES, fullest_task
from analysis.words import joined, method_words
from sweep.objective import GAPS, Row, ended, seed_values, standings

COST = "cost"
OBJECTIVE_WORDS = {
    "average_gap": "average gap",
    "forget_gap": "forget-side gap",
    "retain_gap": "retain-side gap",
    COST: "time relative to Retrain",
}


def outcomes(frames: Frames) -> pd.DataFrame:
    """One row per suggestion, ordered by study and number.

    Returns:
        Columns `study`, `method`, `task_id`, `number`, `params` and `space` (parsed), `sampler`, `objectives`, `seeds`
        (search seeds); `state` (complete, pruned, failed or unfinished), `values` (of each objective, the mean over
        its seeds; None unless complete), `value` (the first of them; NaN), `cost` (time relative to Retrain's, of
        complete ones whose trials all ended ok; NaN) and `seconds` (that its trials took, from
        start to end, evaluation included; a trial that several suggestions of a study share counts at the first).
    """
    searched = _records(frames.searched)
    rows = {row["trial_id"]: row for row in searched}
    trials = [*searched, *_records(_references(frames, "retrain"))]
    suggestions = [{str(key): value for key, value in row.items()} for row in frames.suggestions.to_dict("records")]
    stands, costs = standings(suggestions, trials), standings(suggestions, trials, [COST])
    found = []
    counted: set[tuple[str, str]] = set()
    for suggestion in suggestions:
        new = [trial_id for trial_id in suggestion["trial_ids"] if (suggestion["study"], trial_id) not in counted]
        counted.update((suggestion["study"], trial_id) for trial_id in new)
        key = (suggestion["study"], suggestion["number"])
        values, ran = stands[key].values, [rows.get(trial_id) for trial_id in suggestion["trial_ids"]]
        cost = costs[key].values if all(row and row["status"] == "ok" for row in ran) else None
        found.append(
            {key: suggestion[key] for key in ("study", "method", "task_id", "number", "sampler")}
            | {key: json.loads(suggestion[key]) for key in ("params", "space")}
            | {"objectives": tuple(suggestion["objectives"]), "seeds": len(ran)}
            | {"state": stands[key].state, "values": values}
            | {"value": np.nan if values is None else values[0]}
            | {"cost": np.nan if cost is None else cost[0]}
            | {"seconds": sum(_seconds(rows[trial_id]) for trial_id in new if trial_id in rows)}
        )
    return pd.DataFrame(found)


def original_value(frames: Frames, tried: pd.DataFrame) -> float:
    """The first objective's value of Original on the seeds of these suggestions; NaN where it was not run on them."""
    objective, task = str(tried["objective"].iloc[0]), str(tried["task_id"].iloc[0])
    here = frames.searched[(frames.searched["task_id"] == task) & frames.searched["method"].isin(tried["method"])]
    rows = {name: _by_seed(_references(frames, name), task) for name in REFERENCES}
    both = [(rows["original"].get(seed), rows["retrain"].get(seed)) for seed in here["seed"].unique().tolist()]
    values = [
        seed_values(row, retrain, [objective])[0] for row, retrain in both if row is not None and retrain is not None
    ]
    return float(np.mean(values)) if objective in GAPS and values and len(values) == len(both) else float("nan")


def _references(frames: Frames, name: str) -> pd.DataFrame:
    """The trials of Retrain or Original, whether they are in a comparison or not."""
    found = [trials[trials["method"] == name] for trials in (frames.trials, frames.searched)]
    return pd.concat([rows for rows in found if len(rows)] or found[:1])


def _by_seed(trials: pd.DataFrame, task: str) -> dict[int, Row]:
    rows = _records(trials[(trials["task_id"] == task) & (trials["status"] == "ok")])
    return {row["seed"]: row for row in rows if ended(row)}


def search_code_words(frames: Frames, tried: pd.DataFrame) -> str:
    """`code_words` of the trials of these suggestions, to append."""
    here = frames.searched[frames.searched["task_id"].isin(tried["task_id"])]
    return also(code_words(here[here["method"].isin([*tried["method"], *REFERENCES])]))


def acts(space: dict[str, Any], params: dict[str, Any], name: str) -> bool:
    """Whether a searched hyperparameter has an effect beside the others' values, as its `when` says."""
    return all(
        params.get(other) in allowed and (other not in space or acts(space, params, other))
        for other, allowed in space[name].get("when", {}).items()
    )


def states_words(tried: pd.DataFrame) -> str:
    """How many suggestions there are and how they ended."""
    counts = tried["state"].value_counts()
    others = [f"{counts[state]} {state}" for state in ("pruned", "failed", "unfinished") if state in counts]
    plural = "s" if len(tried) > 1 else ""
    return f"{len(tried)} suggestion{plural}" + (f", {joined(others)}" if others else "")


def objective_words(name: str) -> str:
    """An objective, short."""
    return OBJECTIVE_WORDS.get(name, name)


def with_unit(name: str) -> str:
    """An objective and its unit."""
    return objective_words(name) + ("" if name == COST else " (percentage points)")


def meaning_words(names: Iterable[str]) -> str:
    """What gaps are means of, as a sentence; empty for objectives that are none."""
    parts = [
        f"{objective_words(name)}: mean of the gaps of {joined([LABELS[metric] for metric in GAPS[name]])}"
        for name in dict.fromkeys(names)
        if name in GAPS
    ]
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if parts else ""


def search_seeds_words(tried: pd.DataFrame) -> str:
    """Over how many search seeds a suggestion's value is the mean."""
    counts = sorted(tried["seeds"].unique())
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"n = {span} search seed{'' if counts == [1] else 's'}"


def study_labels(tried: pd.DataFrame) -> dict[str, str]:
    """Each study's name in words: its method's, with the sampler where a method has several studies, or the number."""
    studies = tried.drop_duplicates("study")[["study", "method", "sampler"]]
    words = studies["method"].map(method_words)
    sampled = words + " by " + studies["sampler"]
    numbered = words + " " + (studies.groupby("method").cumcount() + 1).astype(str)
    alone = ~words.duplicated(keep=False)
    chosen = words.where(alone, sampled.where(~sampled.duplicated(keep=False), numbered))
    return dict(zip(studies["study"], chosen, strict=True))


def fullest_search(frames: Frames) -> pd.DataFrame | None:
    """`outcomes` on the task and first objective with most suggestions that are complete; None if none is."""
    tried = outcomes(frames)
    if tried.empty or not (tried["state"] == "complete").any():
        return None
    tried["objective"] = tried["objectives"].str[0]
    complete = tried[tried["state"] == "complete"]
    task = fullest_task(complete)
    objective = complete.loc[complete["task_id"] == task, "objective"].mode().iloc[0]
    here = (tried["task_id"] == task) & (tried["objective"] == objective)
    chosen: pd.DataFrame = tried[here & tried["study"].isin(complete["study"].unique())].reset_index(drop=True)
    return chosen


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with None for what is missing."""
    plain = rows.astype(object).where(rows.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _seconds(row: Row) -> float:
    if row["started_at"] is None or row["finished_at"] is None:
        return float(row["unlearn_seconds"] or 0.0)
    return float((row["finished_at"] - row["started_at"]).total_seconds())
