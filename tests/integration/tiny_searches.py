"""Tiny searches, and what they stored."""

import yaml
from tiny_sweeps import spec

from sweep.store.results import Results

DATA = {"name": "digits", "limit": 200, "label_noise": 0.2, "validation": 0.1}
QUICK = {"name": "finetune", "epochs": [1, 2], "lr": {"low": 0.001, "high": 1.0, "log": True}}  # some are hopeless
UAM = {"name": "uam", "epochs": 1}


def write_search(folder, methods, name="tiny", **changes):
    """The path of a spec file in `folder`; `changes` are keys of its search."""
    section = {"methods": methods, "trials": 4, "seeds": [0, 1], "confirm_seeds": [7]} | changes
    document = spec([], name=name, dataset=DATA, search=section, predictions=False, probe={"every": 0})
    del document["methods"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def suggestions(out):
    return Results(str(out)).suggestions().table.to_pylist()


def trials(out):
    return {row["trial_id"]: row for row in Results(str(out)).trials().table.to_pylist()}
