"""A results directory as data frames, and what every table and figure derives from them."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.reading.selection import ANOTHER_SEED
from analysis.reading.tuning import set_apart
from sweep.plan.code_version import method_version
from sweep.store.columns import RELEARNED, SUGGESTIONS, TRACES, TRIALS
from sweep.store.labels import learn_labels
from sweep.store.metrics import CLASSIFICATION, FARTHEST, GAPS, Metric, averaged, columns, metrics_of
from sweep.store.parquet import Rows
from sweep.store.results import Results


@dataclass(frozen=True)
class Frames:
    """The rows of a results directory.

    Attributes:
        trials: the trials that may be compared (`tuning.set_apart`), with `flatten_params` and `with_gaps`.
        traces: `traces`, one row per epoch or probe.
        damaged: files that could not be read, and why.
        suggestions: `suggestions`, ordered by study and number.
        searched: the trials that suggestions were judged by, and the Retrain and Original trials that only these need,
            in the same columns.
        relearned: `relearned`, a row per point of a relearning's path, with a column for each metric in `other`.
        superseded: how many trials were left out, with their suggestions, because a newer version of their method ran.
        directory: where they were read from, a path or URI; empty if from nowhere.
    """

    trials: pd.DataFrame
    traces: pd.DataFrame
    damaged: list[str]
    suggestions: pd.DataFrame = field(default_factory=lambda: SUGGESTIONS.empty_table().to_pandas())
    searched: pd.DataFrame = field(default_factory=lambda: TRIALS.empty_table().to_pandas())
    superseded: int = 0
    directory: str = ""
    relearned: pd.DataFrame = field(default_factory=lambda: RELEARNED.empty_table().to_pandas())

    def beside_retrain(self) -> Frames:
        """The same as figures show it, which are of distances to Retrain: without gaps to an ideal, and without the
        networks that were never trained, which lie far from everything else.
        """
        trials = self.trials[self.trials["method"] != "untrained"].copy()
        if "to_ideal" in trials:
            gaps = [name for name in trials if name in (*GAPS, "original_gap") or str(name).startswith("gap.")]
            trials.loc[trials["to_ideal"], gaps] = np.nan
        return replace(self, trials=trials)


def read_frames(source: str | Results, paths: bool = True) -> Frames:
    """Read a results directory.

    Args:
        source: a path or URI, or the directory.
        paths: whether to read `traces` and `relearned` too; else both are empty.
    """
    results = Results(source) if isinstance(source, str) else source
    unknown = results.learn_metrics()
    learn_labels(results)
    trials, found = results.trials(), results.suggestions()
    traces, relearned = Rows(TRACES.empty_table(), []), Rows(RELEARNED.empty_table(), [])
    if paths:
        traces, relearned = results.traces(trials.table), results.relearned(trials.table)
    rows, suggestions = trials.table.to_pandas(), found.table.to_pandas()
    old = superseded(rows)
    trial_ids = suggestions["trial_ids"].explode()
    suggestions = suggestions.drop(trial_ids.index[trial_ids.isin(rows.loc[old, "trial_id"])].unique())
    compared, searched = set_apart(with_gaps(flatten_params(rows[~old])), suggestions)
    points = with_other(relearned.table.to_pandas())
    problems = [*unknown, *trials.damaged, *traces.damaged, *found.damaged, *relearned.damaged]
    return Frames(
        compared,
        traces.table.to_pandas(),
        problems,
        suggestions,
        searched,
        int(old.sum()),
        results.location,
        relearned=points,
    )


def read_trials(location: str, wanted: Collection[str]) -> pd.DataFrame:
    """The rows of `trials` with these ids, with a `param.<name>` column per hyperparameter and the gaps of `with_gaps`.

    They are kept even where newer versions of their methods ran.
    """
    results = Results(location)
    results.learn_metrics()
    learn_labels(results)
    rows = results.trials().table.to_pandas()
    trials = with_gaps(flatten_params(rows[~superseded(rows, wanted)]))
    return trials[trials["trial_id"].isin(wanted)]


def superseded(trials: pd.DataFrame, wanted: Collection[str] = ()) -> pd.Series:
    """Mark trials whose task also has trials of a newer version of their method.

    A `wanted` trial (by its id) counts as newer than all others.
    """
    versions = trials["config"].map(method_version).astype(float).mask(trials["trial_id"].isin(wanted), math.inf)
    return versions < versions.groupby([trials["task_id"], trials["method"]]).transform("max")


def flatten_params(trials: pd.DataFrame) -> pd.DataFrame:
    """Add a `param.<name>` column for every hyperparameter that any trial has, and one for each metric in `other`."""
    params = pd.DataFrame([json.loads(text) for text in trials["params"]], index=trials.index)
    return pd.concat([with_other(trials), params.add_prefix("param.")], axis=1)


def with_other(rows: pd.DataFrame) -> pd.DataFrame:
    """Add a column for each metric that may be in `other`."""
    other = rows["other"].dropna() if "other" in rows else pd.Series(dtype=object)
    further = pd.DataFrame([json.loads(text) for text in other], index=other.index, dtype=float)
    further = further.reindex(index=rows.index, columns=[*columns().keys() - set(rows.columns)]).astype(float)
    return pd.concat([rows, further], axis=1)


def with_gaps(trials: pd.DataFrame) -> pd.DataFrame:
    """Add `gap.<metric>`, the columns of `GAPS`, `relative_seconds` and `relative_samples`, against a reference of the
    same task and seed, and `original_gap`: the average gap of the Original of that task and seed.

    The reference is Retrain, or one of `ideals` where there can be no Retrain: `to_ideal` says where. A gap is
    `distance`, in percentage points; those of `GAPS` are means over what `averaged` says for the trial's kind of task,
    without what neither the trial nor the reference has. `relative_seconds` and `relative_samples` are the cost as a
    share of Retrain's. All are missing where there is no such reference that ended ok; `original_gap` also where there
    is no such Original.
    """
    key = ["task_id", "seed"]
    costs = ["unlearn_seconds", "samples_processed"]
    measured = [column for column in columns() if column in trials]
    trials = trials.astype(dict.fromkeys(measured, float))
    retrain = trials.loc[(trials["method"] == "retrain") & (trials["status"] == "ok"), [*key, *measured, *costs]]
    ideal = ideals(trials)
    reference = pd.concat([retrain, ideal[[*key, *measured]].assign(ideal=True)]) if len(ideal) else retrain
    matched = trials[key].merge(reference, on=key, how="left", validate="many_to_one").set_index(trials.index)
    result = _with_distances(trials, matched)
    result["original_gap"] = _original_gaps(result)
    result["to_ideal"] = matched["ideal"].notna() if len(ideal) else False
    result["relative_seconds"] = trials["unlearn_seconds"] / matched["unlearn_seconds"]
    result["relative_samples"] = trials["samples_processed"] / matched["samples_processed"]
    return result


def with_another_seed(trials: pd.DataFrame, ahead: int = 1) -> pd.DataFrame:
    """Add Retrain's trials once more, as the method `ANOTHER_SEED`: each beside Retrain of the next seed, or of so many
    ahead, after the last the first.

    Their gaps are distances between two models that both never saw what they were to forget: what seeds alone make.
    None is added where a task has one seed of Retrain.

    Args:
        trials: as `read_frames` gives them.
    """
    retrain = trials[(trials["method"] == "retrain") & (trials["status"] == "ok")].sort_values(["task_id", "seed"])
    retrain = retrain[retrain.groupby("task_id")["seed"].transform("size") > 1]
    if retrain.empty:
        return trials
    following = pd.concat([rows.iloc[np.roll(np.arange(len(rows)), -ahead)] for _, rows in retrain.groupby("task_id")])
    added = _with_distances(retrain.assign(method=ANOTHER_SEED), following.set_index(retrain.index))
    return pd.concat([trials, added], ignore_index=True)


def _with_distances(trials: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """Add `gap.<metric>` and the columns of `GAPS`, against the reference in the same row of `references`."""
    measured = [column for column in columns() if column in trials]
    result = trials.copy()
    for metric in measured:
        result[f"gap.{metric}"] = (trials[metric] - references[metric]).abs().clip(upper=FARTHEST)
    kinds = kinds_of(trials)
    for gap in GAPS:
        result[gap] = np.nan
        for kind in kinds.unique():
            here = kinds == kind
            parts = [metric.column for metric in averaged(metrics_of(kind), gap)]
            if set(parts) <= set(measured):
                gaps = result.loc[here, [f"gap.{part}" for part in parts]].set_axis(parts, axis=1)
                absent = trials.loc[here, parts].isna() & references.loc[here, parts].isna()
                result.loc[here, gap] = gaps.mask(absent, 0).sum(axis=1, skipna=False) / (~absent).sum(axis=1)
    return result


def ideals(trials: pd.DataFrame) -> pd.DataFrame:
    """What stands for Retrain where the original is a network as it was built: no data can be left out of its training.

    For each such task and seed the row of the Original that ended ok, with `Metric.ideal` in the place of what it is.
    """
    found = trials[(trials["method"] == "original") & (trials["status"] == "ok")]
    untrained = [json.loads(config).get("training", {}).get("epochs") == 0 for config in found["config"]]
    found = found[untrained].drop_duplicates(["task_id", "seed"])
    kinds = kinds_of(found)
    for kind in kinds.unique():
        for metric in metrics_of(kind):
            if metric.ideal is not None and metric.column in found:
                there = (kinds == kind) & found[metric.column].notna()
                wanted = found.loc[there, metric.ideal] if isinstance(metric.ideal, str) else metric.ideal
                found.loc[there, metric.column] = wanted
    return found


def kinds_of(trials: pd.DataFrame) -> pd.Series:
    """The kind of task of each trial, by its name."""
    if "kind" not in trials:
        return pd.Series(CLASSIFICATION, index=trials.index)
    return trials["kind"].astype(object).where(trials["kind"].notna(), CLASSIFICATION)


def metrics_in(trials: pd.DataFrame) -> tuple[Metric, ...]:
    """The metrics of the first trial's kind of task that any of these trials has; all of them where none has any."""
    every = metrics_of(str(kinds_of(trials).iloc[0]))
    return tuple(each for each in every if each.column in trials and trials[each.column].notna().any()) or every


def _original_gaps(trials: pd.DataFrame) -> pd.Series:
    key = ["task_id", "seed"]
    ended = trials[(trials["method"] == "original") & (trials["status"] == "ok")].drop_duplicates(key)
    gaps = trials[key].merge(ended[[*key, "average_gap"]], on=key, how="left", validate="many_to_one")
    return gaps["average_gap"].set_axis(trials.index)
