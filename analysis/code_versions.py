"""Where tables and figures average or compare trials of several code versions, and what they say of it."""

from __future__ import annotations

import pandas as pd

from analysis.tuning import untuned_name
from analysis.words import FEW, joined, method_words
from sweep.mixed import Computed, MixedCode, mixed_code

COLUMNS = ["task_id", "method", "params", "dataset", "model", "code_version", "original_version"]
"""What `code_versions` reads of trials: the same for all seeds of most configurations."""

REMEDY = "--refresh repeats those of other code"


def code_versions(trials: pd.DataFrame) -> MixedCode:
    """Where the trials that ended ok are of several code versions (`mixed_code`); tuned ones are the method's own."""
    ok = trials.loc[trials["status"] == "ok", COLUMNS].drop_duplicates()
    own = ok["method"].map(untuned_name)
    originals = ok["original_version"].astype(object).where(ok["original_version"].notna(), None)
    configurations = zip(ok["task_id"], ok["method"], ok["params"], strict=True)
    names = zip(ok["dataset"], ok["model"], own, strict=True)
    return mixed_code(map(Computed, configurations, names, ok["code_version"], originals))


def code_words(trials: pd.DataFrame) -> str:
    """That trials of several code versions are averaged, or else that they are compared, as a sentence; or empty."""
    found = code_versions(trials)
    if found.averaged:
        versions = sorted(set().union(*found.averaged.values()))
        names = sorted({method_words(method) for _, method, _ in found.averaged})
        several = len(names) > 1
        what = f"{len(found.averaged)} configurations average" if len(names) > FEW else joined(names)
        verb = "" if len(names) > FEW else " average" if several else " averages"
        return f"Mixed code: {what}{verb} trials of {_listed(versions)}; {REMEDY}."
    versions = sorted(set().union(*found.compared.values()))
    return f"Mixed code: trials of {_listed(versions)} are compared; {REMEDY}." if versions else ""


def _listed(versions: list[str]) -> str:
    return joined(versions) if len(versions) <= FEW else f"{len(versions)} code versions"


def also(sentence: str) -> str:
    """A sentence to append to others, if there is one."""
    return f" {sentence}" if sentence else ""
