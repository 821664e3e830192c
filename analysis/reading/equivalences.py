"""Which methods are as good as Retrain: tests on trials paired by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.reading.frames import kinds_of
from analysis.reading.selection import WITHIN_TASK, ended_ok, is_reference
from analysis.statistics.equivalence import FEWEST, can_be_shown, equivalence
from analysis.statistics.intervals import CONFIDENCE
from sweep.store.metrics import Metric, averaged, metrics_of


@dataclass(frozen=True)
class Equivalences:
    """The tests on one task's configurations.

    Attributes:
        metrics: what makes up the average gap and Retrain has.
        seeds: of Retrain.
        p: unadjusted p-values of `equivalence`: a row per method and params that could be tested, a column for each of
            `metrics` and for `average_gap`.
        possible: whether so many seeds can show anything (`can_be_shown`).
    """

    metrics: tuple[Metric, ...]
    seeds: int
    p: pd.DataFrame
    possible: bool

    @property
    def found(self) -> list[tuple[str, str]]:
        """The method and params of what is as good as Retrain in the average gap, all tests counted (Bonferroni)."""
        p = self.p["average_gap"]
        return [(str(method), str(params)) for method, params in p.index[p * p.notna().sum() < 1 - CONFIDENCE]]


def equivalences(trials: pd.DataFrame) -> Equivalences | None:
    """Test each configuration on the seeds that it and Retrain have; None where Retrain has fewer than two.

    Args:
        trials: of one task, as `read_frames` gives them.
    """
    ok = ended_ok(trials)
    retrain = ok[ok["method"] == "retrain"].sort_values("seed")
    if len(retrain) < 2:
        return None
    parts = averaged(metrics_of(str(kinds_of(retrain).iloc[0])), "average_gap")
    metrics = tuple(each for each in parts if each.column in retrain and retrain[each.column].notna().any())
    columns = [metric.column for metric in metrics]
    own = retrain[columns].to_numpy(dtype=float).T
    compared = ok[~is_reference(ok)]
    keys = compared.groupby(WITHIN_TASK, sort=False)
    values = np.full((keys.ngroups, *own.shape), np.nan)
    places = pd.Index(retrain["seed"]).get_indexer(pd.Index(compared["seed"]))
    there = places >= 0
    values[keys.ngroup().to_numpy()[there], :, places[there]] = compared[columns].to_numpy(dtype=float)[there]
    index = pd.MultiIndex.from_frame(compared.drop_duplicates(WITHIN_TASK)[WITHIN_TASK])
    p = pd.DataFrame(_tested(values - own, own), index=index, columns=[*columns, "average_gap"])
    p = p[p["average_gap"].notna()]
    complete = own[:, ~np.isnan(own).any(axis=0)]
    return Equivalences(metrics, len(retrain), p, can_be_shown(complete, max(len(p), 1)))


def _tested(differences: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-values of each metric, and of all together: [configurations, metrics + 1].

    Args:
        differences: [configurations, metrics, seeds]; NaN where one lacks a value.
        own: Retrain's values, [metrics, seeds].
    """
    found = np.full((len(differences), own.shape[0] + 1), np.nan)
    known = ~np.isnan(differences).any(axis=1)
    for seeds in np.unique(known, axis=0):
        if seeds.sum() >= FEWEST:
            same = (known == seeds).all(axis=1)
            apart, here = differences[same][:, :, seeds], own[:, seeds]
            found[same, -1] = equivalence(apart, here)
            for place in range(len(own)):
                found[same, place] = equivalence(apart[:, [place]], here[[place]])
    return found
