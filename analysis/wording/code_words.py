"""What tables and figures say where trials of several code versions meet."""

from __future__ import annotations

import pandas as pd

from analysis.reading.code_versions import code_versions
from analysis.reading.mixed_code import REMEDY
from analysis.wording.names import method_words
from analysis.wording.words import FEW, joined


def code_words(trials: pd.DataFrame) -> str:
    """Say in a sentence that trials of several code versions are averaged, or else compared; empty if neither."""
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
