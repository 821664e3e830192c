"""The results directory: the only state of a sweep. Imports neither torch nor ray.

    DIR/spec.yaml, environment.json
    DIR/models/<id>.safetensors          originals
    DIR/trials/<trial_id>.parquet        one row per trial
    DIR/traces/<trial_id>.parquet        a row per epoch
    DIR/predictions/<trial_id>.parquet   a row per sample
    DIR/relearned/<trial_id>-<relearning_id>.parquet   a row per point of a relearning's path
    DIR/relearned_predictions/<trial_id>-<relearning_id>.parquet   a row per forgotten sample, of the relearned model
    DIR/suggestions/<study>-<number>.parquet   one row per configuration that a search suggested
    DIR/rows/<id>.parquet                a list of rows that were to be forgotten (sweep/store/row_lists.py)
    DIR/tracked/<tracker>/<trial>-<time>   an empty file per run that was sent to an experiment tracker
    DIR/running/<trial_id>.json          how far a trial is, only while it runs (sweep/store/running.py)
    DIR/kinds/<kind>.json                what a plugin's kind of task measures
    DIR/.claims/                         files that commands lock (sweep/engine/claims.py, exclusive.py)
    DIR/.index/                          disposable: rows that were read before (sweep/store/index.py)

A trial exists if and only if its row does, and the row is written last. Every file appears whole or not at all, and is
checked when it is first read. No reader renames or removes a file of results.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweep.errors import InputError
from sweep.store.columns import (
    FOLDERS,
    PREDICTIONS,
    RELEARNED,
    RELEARNED_PREDICTIONS,
    SUGGESTIONS,
    TRACES,
    TRIALS,
)
from sweep.store.directory import Directory
from sweep.store.index import read_folder
from sweep.store.json_columns import legible
from sweep.store.location import absolute_location
from sweep.store.merged_files import earlier_files, may_hold
from sweep.store.metrics import Metric, learn
from sweep.store.parquet import FILE, LARGE, Rows, parquet_bytes, read_parquet
from sweep.store.relearning import Relearning


@dataclass(frozen=True)
class Relearned:
    """What a relearning gave.

    Attributes:
        recipe: what was done.
        rows: of `relearned`, without what all of them share.
        predictions: of the forget set, in the columns of `predictions`; None: none are kept.
    """

    recipe: Relearning
    rows: Sequence[dict[str, Any]]
    predictions: pa.Table | None


class Results(Directory):
    """A results directory, local or a URI that `pyarrow.fs` opens."""

    def write_trial(
        self,
        row: dict[str, Any],
        traces: Sequence[dict[str, Any]] = (),
        predictions: pa.Table | None = None,
        relearned: Relearned | None = None,
    ) -> None:
        """Store a trial: first all else that there is of it, last its row, which says how much of it there is.

        Raises:
            OSError: it cannot be stored.
        """
        trial_id = row["trial_id"]
        row = row | {"n_traces": len(traces), "n_predictions": 0 if predictions is None else len(predictions)}
        if traces:
            self.write(f"traces/{trial_id}.parquet", parquet_bytes(pa.Table.from_pylist(list(traces), schema=TRACES)))
        if predictions is not None:
            self.write(f"predictions/{trial_id}.parquet", parquet_bytes(predictions.cast(PREDICTIONS), LARGE))
        if relearned is not None:
            self._write_relearned(row, relearned)
        self.write_row(row)

    def _write_relearned(self, row: dict[str, Any], relearned: Relearned) -> None:
        recipe, said = relearned.recipe, relearned.predictions
        name = f"{row['trial_id']}-{recipe.id}.parquet"
        shared = {"trial_id": row["trial_id"], "relearning_id": recipe.id}
        if said is not None:
            named = said.append_column("relearning_id", pa.repeat(recipe.id, len(said)))
            table = named.select(RELEARNED_PREDICTIONS.names).cast(RELEARNED_PREDICTIONS)
            self.write(f"relearned_predictions/{name}", parquet_bytes(table, LARGE))
        shared |= {"recipe": recipe.text, "model_sha256": row["model_sha256"]}
        shared |= {"n_predictions": 0 if said is None else len(said)}
        table = pa.Table.from_pylist([point | shared for point in relearned.rows], schema=RELEARNED)
        self.write(f"relearned/{name}", parquet_bytes(table))

    def write_row(self, row: dict[str, Any]) -> None:
        """Store a trial's row, and leave its traces and predictions as they are.

        Raises:
            OSError: it cannot be stored.
        """
        self.write(f"trials/{row['trial_id']}.parquet", parquet_bytes(pa.Table.from_pylist([row], schema=TRIALS)))

    def write_suggestion(self, row: dict[str, Any]) -> None:
        """Store a row of `suggestions`; it replaces one of the same study and number.

        Raises:
            OSError: it cannot be stored.
        """
        table = pa.Table.from_pylist([row], schema=SUGGESTIONS)
        self.write(f"suggestions/{row['study']}-{row['number']}.parquet", parquet_bytes(table))

    def write_metrics(self, kind: str, metrics: Sequence[Metric]) -> None:
        """Store what a plugin's kind of task measures, for readers that do not have the plugin.

        Raises:
            OSError: it cannot be stored.
        """
        self.write(f"kinds/{kind}.json", json.dumps([asdict(metric) for metric in metrics]).encode())

    def learn_metrics(self) -> list[str]:
        """Make known what the stored kinds of task measure; what cannot be read, and why.

        Raises:
            InputError: as `learn` does.
        """
        from pydantic import TypeAdapter, ValidationError

        damaged = []
        for name in self.names("kinds"):
            try:
                metrics = TypeAdapter(tuple[Metric, ...]).validate_json(self.read(f"kinds/{name}") or b"")
            except ValidationError as error:
                damaged.append(f"kinds/{name}: {error.errors()[0]['msg']}")
            else:
                learn(name.removesuffix(".json"), metrics, absolute_location(self.location))
        return damaged

    def trial(self, trial_id: str) -> dict[str, Any] | None:
        """The row of one trial; None if there is none that can be read."""
        table = self._of_trial("trials", trial_id)
        rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
        return rows[-1] if rows else None

    def trials(self, columns: Collection[str] = TRIALS.names) -> Rows:
        """Every readable row of `trials`, one for each trial.

        Args:
            columns: read only these, which is faster, and always `trial_id` and `finished_at`.
        """
        wanted = {"trial_id", "finished_at", *columns}
        trials = read_folder(self, "trials", pa.schema([field for field in TRIALS if field.name in wanted]))
        if trials.table.num_rows == len(trials.table["trial_id"].unique()):
            return trials
        ordered = trials.table.sort_by([("trial_id", "ascending"), ("finished_at", "ascending")])
        ids = ordered["trial_id"].to_pylist()
        last = [row for row, trial_id in enumerate(ids) if row + 1 == len(ids) or ids[row + 1] != trial_id]
        return Rows(ordered.take(last), trials.damaged)

    def traces(self, trials: pa.Table | None = None) -> Rows:
        """Every readable row of `traces`, without those of an earlier run of a trial whose last run has none.

        Args:
            trials: the table of trials with its column `n_traces`, if the caller has read it already.
        """
        found = read_folder(self, "traces", TRACES)
        trials = self.trials(["n_traces"]).table if trials is None else trials
        without = trials.filter(pc.equal(trials["n_traces"], 0))["trial_id"]
        return Rows(found.table.filter(pc.invert(pc.is_in(found.table["trial_id"], without))), found.damaged)

    def relearned(self, trials: pa.Table | None = None) -> Rows:
        """Every readable row of `relearned` that is of the model which its trial's row is of.

        Args:
            trials: the table of trials with its column `model_sha256`, if the caller has read it already.
        """
        found = read_folder(self, "relearned", RELEARNED)
        trials = self.trials(["model_sha256"]).table if trials is None else trials
        models = trials["model_sha256"].take(pc.index_in(found.table["trial_id"], trials["trial_id"]))
        return Rows(found.table.filter(pc.equal(found.table["model_sha256"], models)), found.damaged)

    def relearned_predictions(self, trial_id: str, relearning_id: str) -> pa.Table | None:
        """What a trial's relearned model says of the forget set; None if there is nothing that can be read."""
        content = self.read(f"relearned_predictions/{trial_id}-{relearning_id}.parquet")
        try:
            return None if content is None else read_parquet(content, RELEARNED_PREDICTIONS)
        except (pa.ArrowException, OSError):
            return None

    def suggestions(self) -> Rows:
        """Every readable row of `suggestions`, ordered by study and number."""
        found = read_folder(self, "suggestions", SUGGESTIONS)
        return Rows(found.table.sort_by([("study", "ascending"), ("number", "ascending")]), found.damaged)

    def predictions(self, trial_id: str) -> pa.Table | None:
        """The predictions of one trial; None if there are none that can be read."""
        return self._of_last_run("predictions", trial_id)

    def trace(self, trial_id: str) -> list[dict[str, Any]]:
        """The rows of `traces` of one trial that can be read."""
        table = self._of_last_run("traces", trial_id)
        return [] if table is None else table.to_pylist()

    def _of_last_run(self, folder: str, trial_id: str) -> pa.Table | None:
        row = self.trial(trial_id)
        return None if row is not None and row[f"n_{folder}"] == 0 else self._of_trial(folder, trial_id)

    def _of_trial(self, folder: str, trial_id: str) -> pa.Table | None:
        table = self._rows_of(folder, f"{trial_id}.parquet", trial_id)
        return self._elsewhere(folder, trial_id) if table is None else table

    def _elsewhere(self, folder: str, trial_id: str) -> pa.Table | None:
        """A trial's rows in the latest of the merged and taken files that hold any."""
        for name in earlier_files(self.names(folder)):
            if may_hold(name, trial_id):
                table = self._rows_of(folder, name, trial_id)
                if table is not None and len(table):
                    return table
        return None

    def _rows_of(self, folder: str, name: str, trial_id: str) -> pa.Table | None:
        content = self.read(f"{folder}/{name}")
        if content is None:
            return None
        try:
            table = read_parquet(content, FOLDERS[folder])
        except (pa.ArrowException, OSError):
            return None
        rows = Rows(table.append_column(FILE, pa.repeat(name, len(table))), [])
        table = legible(folder, rows).table.select(table.column_names)
        return table.filter(pc.equal(table["trial_id"], trial_id))


def existing_results(location: str) -> Results:
    """The results directory at `location`.

    Raises:
        InputError: the directory does not exist, or does not look like one of results.
    """
    results = Results(location)
    if not results.exists():
        raise InputError(f"{location}: no such results directory")
    if not (results.exists("trials") or results.size("spec.yaml") is not None):
        raise InputError(f"{location}: not a results directory: it has neither spec.yaml nor trials/")
    return results
