"""A results directory for notebooks: its tables as data frames, the comparison of methods, figures."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from analysis.drawing.figure import Drawn, Skipped
from analysis.methods_table import methods_table, to_html
from analysis.reading.frames import Frames, read_frames, read_trials
from sweep.errors import InputError, nearest
from sweep.store.columns import PREDICTIONS
from sweep.store.labels import learn_labels
from sweep.store.results import Results


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a results directory holds. Its files are read when a frame is first asked for, and then not again.

    In a notebook it shows the comparison of methods. Files that cannot be read are named in a warning.

    Attributes:
        location: the results directory, a path or URI.
        only: ids of the trials that frames are limited to; None: all that may be compared.
    """

    location: str
    only: Collection[str] | None = field(default=None, repr=False)

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: the columns of `sweep.store.columns.TRIALS`, a column `param.<name>` for each hyperparameter
        (missing where a method has none of that name), and the distances to Retrain of the same seed that
        `analysis.reading.frames.with_gaps` adds.
        """
        return self._frames.trials

    @property
    def traces(self) -> pd.DataFrame:
        """A row per epoch or probe of a trial: the columns of `sweep.store.columns.TRACES`."""
        return self._frames.traces

    @property
    def suggestions(self) -> pd.DataFrame:
        """A row per configuration that a search suggested: the columns of `sweep.store.columns.SUGGESTIONS`."""
        return self._frames.suggestions

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """A row per sample and trial: the columns of `sweep.store.columns.PREDICTIONS`. The largest of the frames."""
        trials, results = self.trials, Results(self.location)
        kept = trials.loc[trials["n_predictions"] > 0, "trial_id"]
        found = {name: results.predictions(name) for name in kept}
        for name in (name for name, table in found.items() if table is None):
            warnings.warn(f"{self.location}/predictions/{name}.parquet: missing or damaged", stacklevel=3)
        frames = [table.to_pandas() for table in found.values() if table is not None]
        every: pd.DataFrame = pd.concat(frames or [PREDICTIONS.empty_table().to_pandas()], ignore_index=True)
        return every

    def table(self) -> pd.DataFrame:
        """The comparison: a row per method and configuration, with the columns of `analysis.methods_table`."""
        trials = self.trials
        learn_labels(Results(self.location))
        return methods_table(trials)

    def figure(self, name: str) -> Drawn | Skipped:
        """A figure of the report, which a notebook shows; or why these results do not allow it.

        Args:
            name: as in `analysis.figures.FIGURES`, for instance `tradeoff`.

        Raises:
            InputError: there is no figure of this name.
        """
        from analysis.figures import FIGURES

        if name not in FIGURES:
            raise InputError(f"unknown figure '{name}'; {nearest(name, FIGURES)}")
        frames = self._frames.beside_retrain()
        learn_labels(Results(self.location))
        return FIGURES[name](frames)

    @cached_property
    def _frames(self) -> Frames:
        frames = read_frames(self.location)
        for problem in frames.damaged:
            warnings.warn(f"{self.location}/{problem}", stacklevel=4)
        if self.only is None:
            return frames
        traces, relearned = (part[part["trial_id"].isin(self.only)] for part in (frames.traces, frames.relearned))
        return replace(frames, trials=read_trials(self.location, self.only), traces=traces, relearned=relearned)

    def _repr_html_(self) -> str:
        return to_html(self.table())
