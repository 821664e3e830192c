"""How to run stored trials again: the command of each, and its part of the spec."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.reading.tuning import untuned_name
from analysis.wording.names import configuration_labels, task_labels
from analysis.wording.page_names import trial_page
from sweep.errors import InputError
from sweep.spec.spec_file import read_yaml, write_yaml
from sweep.store.row_lists import row_list_path

MOST_TRIALS = 500
"""Trials that a page lists."""


@dataclass(frozen=True)
class Rerun:
    """How to run one trial again: the command, and its spec as YAML; `page` is the trial's own page."""

    trial_id: str
    page: str
    what: str
    status: str
    command: str
    spec: str


def reruns(trials: pd.DataFrame, directory: str, stored: Mapping[str, Any]) -> list[Rerun]:
    """How to run the first `MOST_TRIALS` of these trials again.

    Args:
        directory: of the results, a path or URI.
        stored: as `stored_sections` gives it.
    """
    if trials.empty:
        return []
    labelled = trials.assign(task=task_labels(trials), label=configuration_labels(trials))
    shown = labelled.sort_values(["task", "method", "label", "seed"]).head(MOST_TRIALS)
    several = shown["task"].nunique() > 1
    return [
        Rerun(
            trial_id=row["trial_id"],
            page=trial_page(row["trial_id"]),
            what=f"{row['label']}, seed {row['seed']}" + (f", {row['task']}" if several else ""),
            status=row["status"],
            command=shlex.join(["unlearn-sweep", "rerun", directory, row["trial_id"], *allowed(row)]),
            spec=spec_fragment(row["config"], stored, directory),
        )
        for _, row in shown.iterrows()
    ]


def allowed(row: pd.Series) -> list[str]:
    """The options that let `rerun` import the plugins of a trial."""
    plugins = dict.fromkeys(name for name in (row["dataset"], row["model"], untuned_name(row["method"])) if ":" in name)
    return [word for name in plugins for word in ("--plugin", name)]


def stored_sections(spec: str) -> Mapping[str, Any]:
    """The sections of a directory's spec.yaml; empty where that cannot be read."""
    try:
        stored = read_yaml(spec, "spec.yaml")
    except InputError:
        return {}
    return stored if isinstance(stored, dict) else {}


def spec_fragment(config: str, stored: Mapping[str, Any], directory: str = "DIR") -> str:
    """A trial's `config` as the YAML of a spec with this trial only.

    Leaves out fingerprints and the scenario's version, and adds where the files of the dataset and the network lie, and
    a list of rows to forget.

    Args:
        directory: of the results, which has such lists.
        stored: the directory's spec.yaml, which says where files lie. If it describes another dataset or network, and
            this one has files, a comment says what to add.
    """
    parsed: dict[str, Any] = json.loads(config)
    method = parsed.get("method", {})
    placed: dict[str, Any] = {}
    comments = ""
    for name in ("dataset", "model"):
        placed[name], location = _placed(parsed.get(name, {}), stored.get(name))
        if "fingerprint" in parsed.get(name, {}) and not location:
            comments += f"# {name}: also needs where its files lie, as path: DIR\n"
    document = {
        **placed,
        "training": parsed.get("training", {}),
        "seeds": [parsed["seed"]] if "seed" in parsed else [],
        "forget": _forget_section(parsed.get("forget", {}), directory),
        "methods": [{"name": method["name"]} | _bare(method.get("params", {}))] if method else [],
    }
    filled = {key: value for key, value in document.items() if value}
    return (write_yaml(filled) if filled else "") + comments


def _forget_section(forget: Mapping[str, Any], directory: str) -> dict[str, Any]:
    section = {key: value for key, value in forget.items() if key not in ("version", "rows")}
    return section | ({"path": f"{directory}/{row_list_path(forget['rows'])}"} if "rows" in forget else {})


def _placed(identity: Mapping[str, Any], stored: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """A section of a spec with this identity, and those of its options that say where it lies.

    Args:
        stored: a section that may be of another identity, or no section at all.
    """
    options = {key: value for key, value in identity.items() if key != "fingerprint"}
    found = stored if isinstance(stored, dict) else {}
    same = all(key in found and found[key] == value for key, value in options.items())
    location = {key: value for key, value in found.items() if key not in identity} if same else {}
    return options | location, location


def _bare(params: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters as a spec writes them: a list within a list, since a list alone would be a grid axis."""
    return {key: [value] if isinstance(value, list) else value for key, value in params.items()}
