"""Which hyperparameters a search's outcome depends on: python -m analysis.importance DIR [--out DIR]."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.drawing.figure import WIDTH, Drawn, Skipped, new_figure, run_figure, styles
from analysis.drawing.marks import finish, titled
from analysis.reading.frames import Frames
from analysis.reading.searches import fullest_search
from analysis.wording.names import task_words
from analysis.wording.searches import (
    meaning_words,
    objective_words,
    search_code_words,
    search_seeds_words,
    study_labels,
)
from analysis.wording.words import joined, span_words
from sweep.words import counted

NAME = "importance"
QUESTION = "Which hyperparameters matter?"
FEWEST = 8
"""Complete suggestions of a study, from which on an estimate is drawn at all."""
RESAMPLES = 10
TREES, RESAMPLED_TREES = 64, 16
MOST_STUDIES = 8


def draw(frames: Frames) -> Drawn | Skipped:
    """Each searched hyperparameter's share of the objective's variance (fANOVA), per study."""
    tried = fullest_search(frames)
    complete = None if tried is None else tried[tried["state"] == "complete"]
    if complete is None or (complete.groupby("study").size() < FEWEST).all():
        return Skipped(NAME, f"needs a search with {FEWEST} complete suggestions of a method: preset search-uam")
    complete = complete[complete.groupby("study")["number"].transform("size") >= FEWEST]
    labels = study_labels(complete)
    studies = [*complete.groupby("study").size().sort_values(ascending=False).index[:MOST_STUDIES]]
    shares = {str(study): _shares(complete[complete["study"] == study]) for study in studies}
    described = task_words(frames.trials, str(complete["task_id"].iloc[0]))
    objective = str(complete["objective"].iloc[0])
    counts = complete.groupby("study").size()

    mixed = search_code_words(frames, complete)
    looks = styles([*complete["method"].unique()])
    bars = [len(found) for found in shares.values()]
    figure, axes = new_figure(WIDTH, 1.4 + sum(0.45 + 0.25 * count for count in bars), rows=len(studies))
    if grid := axes[0].get_gridspec():
        grid.set_height_ratios([0.1 + 0.25 * count for count in bars])
    for panel, (study, found) in zip(axes, shares.items(), strict=True):
        method = str(complete.loc[complete["study"] == study, "method"].iloc[0])
        _bars(panel, found, looks[method].color)
        titled(panel, f"{labels[study]}, {counts[study]} suggestions")
        panel.tick_params(labelbottom=panel is axes[-1])
    axes[-1].set_xlabel("share of the variance (percent)", fontsize=10)
    left_out = complete["study"].nunique() - len(studies)
    fewer = f" {counted(left_out, 'further study is', 'further studies are')} not drawn." if left_out else ""
    finish(
        figure,
        f"{described}. Estimated by fANOVA from complete suggestions; lines: range over {RESAMPLES} resamples of them. "
        "One that has no effect beside the others counts as its default."
        f"{meaning_words(frames, complete, [objective])}{fewer}{mixed}",
    )
    tops = [f"on {_top(found, labels[study])}" for study, found in shares.items()]
    finding = (
        f"By an estimate from {span_words(counts[studies])} complete suggestions ({search_seeds_words(complete)} "
        f"each), the {objective_words(objective)} depends most {joined(tops)}.{mixed}"
    )
    return Drawn(NAME, QUESTION, figure, finding, _alt(shares, labels, described))


def _shares(complete: pd.DataFrame) -> pd.DataFrame:
    """Percent of the variance for each searched hyperparameter of a study, largest first, with the resamples' range."""
    whole = _importances(complete, TREES, 0)
    draws = np.random.default_rng(0).integers(0, len(complete), (RESAMPLES, len(complete)))
    again = [_importances(complete.iloc[rows], RESAMPLED_TREES, seed) for seed, rows in enumerate(draws)]
    table = pd.DataFrame(again, columns=[*whole]).fillna(0.0)
    found = pd.DataFrame({"share": whole, "low": table.min(), "high": table.max()}) * 100
    return found.sort_values("share", ascending=False)


def _importances(complete: pd.DataFrame, trees: int, seed: int) -> dict[str, float]:
    """What `optuna.importance` says of a study rebuilt from rows; Optuna is imported only where there is a search."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spaces: dict[str, dict[str, Any]] = complete["space"].iloc[0]
    distributions = {name: _distribution(space) for name, space in spaces.items()}
    if complete["value"].nunique() < 2:
        return dict.fromkeys(spaces, 0.0)
    study = optuna.create_study()
    for row in complete[["params", "value"]].to_dict("records"):
        values = {name: _within(space, row["params"][name]) for name, space in spaces.items()}
        study.add_trial(optuna.create_trial(params=values, distributions=distributions, value=row["value"]))
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=trees, seed=seed))
    return {name: float(found.get(name, 0.0)) for name in spaces}


def _distribution(space: dict[str, Any]) -> Any:
    import optuna

    if "choices" in space:
        return optuna.distributions.CategoricalDistribution([_category(choice) for choice in space["choices"]])
    if space.get("type") == "int":
        return optuna.distributions.IntDistribution(space["low"], space["high"], log=space.get("log", False))
    return optuna.distributions.FloatDistribution(space["low"], space["high"], log=space.get("log", False))


def _within(space: dict[str, Any], value: Any) -> Any:
    """The value, moved into the space: the default of a hyperparameter without effect may lie outside it."""
    if "choices" in space:
        found = _category(value)
        return found if value in space["choices"] else _category(space["choices"][0])
    return min(max(value, space["low"]), space["high"])


def _category(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _bars(panel: Axes, found: pd.DataFrame, color: str) -> None:
    places = range(len(found))
    panel.barh(places, found["share"], color=color, alpha=0.75, height=0.62)
    panel.hlines(places, found["low"], found["high"], color="black", linewidth=1.4)
    panel.set_yticks(places, [str(name) for name in found.index])
    panel.set_ylim(len(found) - 0.45, -0.55)
    panel.set_xlim(0, 100)
    panel.grid(visible=False, axis="y")


def _top(found: pd.DataFrame, label: str) -> str:
    first = found.iloc[0]
    rivals = [str(name) for name, row in found.iloc[1:].iterrows() if row["high"] >= first["low"]]
    unsure = f", not told from {joined(rivals[:3])} by resampling" if rivals else ""
    return f"{found.index[0]} for {label} ({first['share']:.0f} % of its variance{unsure})"


def _alt(shares: dict[str, pd.DataFrame], labels: dict[str, str], described: str) -> str:
    parts = [
        f"{labels[study]}: " + ", ".join(f"{name} {share:.0f}" for name, share in found["share"].items())
        for study, found in shares.items()
    ]
    return (
        f"Horizontal bars for each search on {described}: the share of the objective's variance that each searched "
        f"hyperparameter explains, in percent, with the range over resamples of the suggestions. {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
