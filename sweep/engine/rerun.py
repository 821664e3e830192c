"""Running one stored trial again, from what its results directory holds and nothing else."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any

import torch

from sweep.errors import InputError, inside
from sweep.plan.trials import location_options, model_location, trial_for
from sweep.plan.versions import trial_version
from sweep.spec.spec_file import read_yaml
from sweep.spec.sweep_spec import Spec, parse_spec
from sweep.store.columns import METRICS
from sweep.store.location import absolute_location
from sweep.store.metrics import OF_WEIGHTS
from sweep.store.results import Results, existing_results
from sweep.store.row_lists import stored_row_list
from sweep.trial.job import Context, Job
from sweep.trial.worker import Worker

COMPARED = (*METRICS, "samples_processed", "n_retain", "n_forget", "status")
"""The columns whose values follow from a trial's configuration alone."""


@dataclass(frozen=True)
class Rerun:
    """A trial's stored row, the columns that running it again gave, and the code version that ran it again."""

    old: dict[str, Any]
    new: dict[str, Any]
    version: str

    @property
    def compared(self) -> list[str]:
        """Those of `COMPARED` that tell the two apart: of the weights only what the stored row has measured."""
        own = {metric.column for metric in OF_WEIGHTS if self.old[metric.column] is None}
        return [name for name in COMPARED if name not in own]

    @property
    def equal(self) -> bool:
        """Whether all that is compared is equal, bit for bit."""
        return all(self.old[name] == self.new[name] for name in self.compared)


def rerun(directory: str, trial_id: str, plugins: frozenset[str] = frozenset()) -> Rerun:
    """Run a stored trial again, with as many threads as before, on a GPU if it ran on one. Stores nothing.

    A results directory may come from anybody, and a plugin's name in it chooses what code is run here. So only those
    named in `plugins` are imported.

    Raises:
        InputError: the directory or the trial does not exist, the trial needs another plugin, the dataset is not
            where `spec.yaml` says, the list of rows to forget is missing or damaged, or there is no GPU.
    """
    results = existing_results(directory)
    found = results.trials()
    rows = {row["trial_id"]: row for row in found.table.to_pylist()}
    if trial_id not in rows:
        if own := [problem for problem in found.damaged if problem.startswith(f"trials/{trial_id}.parquet:")]:
            raise InputError(f"{directory}: {own[0]}")
        close = difflib.get_close_matches(trial_id, rows, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "ids are in the column trial_id of trials/"
        raise InputError(f"{directory}: no trial '{trial_id}'; {hint}")
    old = rows[trial_id]
    gpu = old["device"] != "cpu"
    if gpu and not torch.cuda.is_available():
        raise InputError(f"trial {trial_id} ran on {old['device'] or 'a GPU'}, and torch finds no GPU here")
    config = json.loads(old["config"])
    for key in ("dataset", "model", "method"):
        name = str(config[key]["name"])
        if ":" in name and name not in plugins:
            raise InputError(f"trial {trial_id} imports code, the {key} {name}; if you trust it: --plugin {name}")
    if "rows" in config["forget"]:
        try:
            stored_row_list(results, config["forget"]["rows"])
        except OSError as error:
            raise InputError(str(error)) from error
    stored = _stored_spec(results, config)
    context = Context(
        sweep=old["sweep"],
        out=absolute_location(directory),
        location=location_options(stored.dataset),
        model_location=model_location(stored.model),
        threads=old["threads"],
        gpu=gpu,
        max_retries=0,
        predictions=False,
        forget_information=old["forget_information"] is not None,
    )
    ended, outcome = Worker(context).measure(Job(trial_for(config)))
    new = dict.fromkeys(COMPARED) | ended.columns | {"status": outcome.status, "error": outcome.error}
    return Rerun(old, new, trial_version(config))


def _stored_spec(results: Results, config: dict[str, Any]) -> Spec:
    """A spec with the dataset and the network of the directory's `spec.yaml`, which say where both lie.

    Raises:
        InputError: that file is missing, or names another dataset.
    """
    name = config["dataset"]["name"]
    text = results.read("spec.yaml")
    if text is None:
        raise InputError(f"{results.location}: spec.yaml is missing, and with it where the dataset lies")
    stored = read_yaml(text.decode(errors="replace"), f"{results.location}/spec.yaml")
    section = stored.get("dataset", {}) if isinstance(stored, dict) else None
    if not isinstance(section, dict):
        raise InputError(f"{results.location}: spec.yaml does not say where the dataset lies")
    if (found := section.get("name", "digits")) != name:
        raise InputError(f"{results.location}: spec.yaml is of dataset '{found}', the trial of '{name}'")
    sections = {"dataset": section} | ({"model": stored["model"]} if "model" in stored else {})
    with inside(f"{results.location}/spec.yaml"):
        return parse_spec({"name": "stored", "methods": [{"name": "retrain"}]} | sections)
