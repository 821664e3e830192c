"""What relearning brought back, beside Retrain's of the same task and seed."""

from __future__ import annotations

import pandas as pd

from analysis.reading.frames import Frames, kinds_of
from analysis.reading.selection import ended_ok
from sweep.store.metrics import metrics_of
from sweep.store.relearning import Relearning, Taught


def relearned_trials(frames: Frames, data: Taught) -> pd.DataFrame:
    """The trials that ended ok and were relearned on this set without diverging, one row for each recipe.

    Returns:
        The columns of `frames.trials`, and: `relearning_id`; `recipe` (a `Relearning`); `quality`, the column with how
        well the forget set is known (`quality_column`); `before` and `after`, its values at the first and the last
        point; `path`, a series of them by step; `retrain_before` and `retrain_after`, the same of Retrain, missing
        where there is none of the same task, seed and recipe.
    """
    ok, points = ended_ok(frames.trials), frames.relearned
    if ok.empty or points.empty:
        return ok.iloc[:0]
    points = points[points["status"] == "ok"].sort_values("step")
    recipes = {text: Relearning.of(text) for text in points["recipe"].unique()}
    by_trial = {row["trial_id"]: row for row in ok.assign(kind_name=kinds_of(ok)).to_dict("records")}
    found = []
    for (name, _), path in points.groupby(["trial_id", "relearning_id"], sort=False):
        recipe = recipes[path["recipe"].iloc[0]]
        trial = by_trial.get(name)
        quality = None if trial is None else quality_column(trial["kind_name"], path)
        if recipe.data != data or trial is None or quality is None:
            continue
        values = path.set_index("step")[quality].dropna()
        own = {"relearning_id": recipe.id, "recipe": recipe, "quality": quality, "path": values}
        found.append(trial | own | {"before": values.iloc[0], "after": values.iloc[-1]})
    if not found:
        return ok.iloc[:0]
    trials = pd.DataFrame(found)
    key = ["task_id", "seed", "relearning_id"]
    retrain = trials.loc[trials["method"] == "retrain", [*key, "before", "after"]].drop_duplicates(key)
    return trials.merge(retrain.rename(columns={"before": "retrain_before", "after": "retrain_after"}), "left", key)


def quality_column(kind: str, points: pd.DataFrame) -> str | None:
    """The first metric of this kind of task that is of the forget set and was measured all along, if there is one."""
    columns = (metric.column for metric in metrics_of(kind) if metric.column.startswith("forget_"))
    return next((name for name in columns if name in points and bool(points[name].notna().all())), None)


def lower_is_known(quality: str) -> bool:
    """Whether low values of a metric mean that the forget set is known: errors."""
    return quality.endswith("error")
