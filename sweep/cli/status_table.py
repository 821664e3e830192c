"""What `status` prints: counts of trials and suggestions, and what a reader of the tables should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from rich.console import Console
from rich.table import Table

from analysis.pages.plan import Plan
from analysis.reading.mixed_code import DEVICES, REMEDY, Computed, mixed_code, mixed_devices
from sweep.plan.code_version import code_version, method_version, package_version
from sweep.search.objective import State, standings
from sweep.store.columns import REFERENCES
from sweep.store.original_labels import differ_words, of_several_weights
from sweep.store.parquet import Rows
from sweep.store.relearning import Relearning
from sweep.store.status import ENDED, Row
from sweep.words import counted, them

OF, FROM = ("trial is", "trials are"), ("trial starts from an original", "trials start from originals")
"""What is of another code version: of one trial, and of several."""

COLUMNS = [
    *("trial_id", "task_id", "dataset", "model", "method", "params", "seed", "status", "error", "device"),
    *("code_version", "original_version", "original_id", "original_sha256", "config"),
]


def print_status(
    console: Console,
    directory: str,
    trials: Rows,
    suggestions: Rows,
    relearned: Rows,
    plugins: frozenset[str] = frozenset(),
) -> None:
    """Print counts by method and status, studies, what was relearned, what other code versions computed, mixed devices,
    and what failed.

    Args:
        plugins: names that may be imported, to compare the plugin's code with that of the rows. Rows of any other
            plugin are compared only with each other.
    """
    rows = trials.table.select(COLUMNS).to_pylist()
    counts = Counter((row["method"], row["status"]) for row in rows)
    statuses = sorted({row["status"] for row in rows}, key=[*ENDED, "pruned"].index)
    console.print(f"{counted(len(rows), 'trial')} in {directory}", soft_wrap=True)
    table = Table()
    for header in ("method", *statuses):
        table.add_column(header, justify="left" if header == "method" else "right")
    for method in sorted({row["method"] for row in rows}, key=lambda name: (name not in REFERENCES, name)):
        table.add_row(method, *(str(counts[method, name]) for name in statuses))
    console.print(table)
    _print_studies(console, trials, suggestions)
    _print_relearned(console, relearned, sum(row["status"] == "ok" for row in rows))
    other: Counter[tuple[tuple[str, str], str]] = Counter()
    for row in rows:
        own, original = (package_version(row[name] or code_version()) for name in ("code_version", "original_version"))
        other[(OF, own) if own != code_version() else (FROM, original)] += 1
    for (what, version), count in other.items():
        if version != code_version():
            repeats = f"--refresh repeats {them(count)}"
            line = f"{counted(count, *what)} of code version {version}, not {code_version()} ({repeats})"
            console.print(line, highlight=False, soft_wrap=True)
    ok = [row for row in rows if row["status"] == "ok"]
    for line in [*_edited(_newest(rows), plugins), *_mixed(_newest(ok))]:
        console.print(line, highlight=False, soft_wrap=True)
    if devices := mixed_devices((row["task_id"] for row in ok), (row["device"] for row in ok)):
        console.print(f"trials of one task ran on {' and '.join(devices)}: {DEVICES}", soft_wrap=True)
    if several := of_several_weights(rows):
        console.print(differ_words(len(several)), soft_wrap=True)
    for row in rows:
        if row["error"]:
            last = row["error"].strip().splitlines()[-1]
            line = f"{row['status']}: {row['method']} seed {row['seed']} ({row['trial_id']}): {last}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_left(console: Console, plan: Plan, trials: Rows) -> None:
    """Print how many trials of a directory's spec.yaml are left to run, or why that is not known."""
    if isinstance(plan, str):
        console.print(f"how many trials are missing is not known: {plan}", highlight=False, soft_wrap=True)
        return
    statuses = zip(*(trials.table[name].to_pylist() for name in ("trial_id", "status")), strict=True)
    left = len(plan.trials.keys() - {name for name, status in statuses if status != "pruned"})  # pruned: it was not run
    if plan.trials:
        by = ", by run and not by search" if plan.suggestions else ""
        line = f"left to run: {left} of {counted(len(plan.trials), 'trial')} of spec.yaml{by}"
        console.print(line, highlight=False, soft_wrap=True)
    if plan.suggestions:
        line = f"spec.yaml asks for up to {counted(plan.suggestions, 'suggestion')} in each study"
        console.print(line, highlight=False, soft_wrap=True)


def _newest(rows: Sequence[Row]) -> list[Row]:
    """The rows that tables show: for each task and method those of its newest version."""
    versions = [method_version(row["config"]) for row in rows]
    newest: dict[tuple[str, str], int] = {}
    for row, version in zip(rows, versions, strict=True):
        key = row["task_id"], row["method"]
        newest[key] = max(version, newest.get(key, version))
    kept = zip(rows, versions, strict=True)
    return [row for row, version in kept if version == newest[row["task_id"], row["method"]]]


def _names(row: Row) -> tuple[str, str, str]:
    return row["dataset"], row["model"], row["method"]


def _edited(rows: Sequence[Row], plugins: frozenset[str]) -> list[str]:
    """How many trials another version of a plugin computed, among trials that use only these plugins."""
    found = []
    for row in rows:
        used = {name for name in _names(row) if ":" in name}
        ours = package_version(row["code_version"]) == code_version()
        if used and used <= plugins and ours and row["status"] != "pruned":
            found.append((_names(row), row["code_version"], row["original_version"]))
    if not found:
        return []
    from sweep.plan.versions import other_versions  # it imports the plugins, and torch

    return other_versions(found)


def _mixed(ok: Sequence[Row]) -> list[str]:
    """For which methods tables average trials of several code versions, a line each."""
    found = mixed_code(
        Computed(
            (row["task_id"], row["method"], row["params"]), _names(row), row["code_version"], row["original_version"]
        )
        for row in ok
    )
    methods: dict[str, set[str]] = {}
    for (_, method, _), versions in found.averaged.items():
        methods.setdefault(method, set()).update(versions)
    return [
        f"{method}: tables average trials of {' and '.join(sorted(versions))} ({REMEDY})"
        for method, versions in methods.items()
    ]


def _print_relearned(console: Console, relearned: Rows, ok: int) -> None:
    """Print of each recipe how many trials were relearned by it, of those that ended `ok`."""
    trials: dict[str, set[str]] = {}
    for point in relearned.table.select(["recipe", "trial_id"]).to_pylist():
        trials.setdefault(point["recipe"], set()).add(point["trial_id"])
    for recipe, found in trials.items():
        line = f"relearned, {Relearning.of(recipe).words}: {len(found)} of {counted(ok, 'trial')} that ended ok"
        console.print(line, highlight=False, soft_wrap=True)


def _print_studies(console: Console, trials: Rows, suggestions: Rows) -> None:
    """Print how many suggestions of each study are in which state, if there are any."""
    stands = standings(suggestions.table.to_pylist(), trials.table.to_pylist())
    if not stands:
        return
    counts = Counter((study, standing.state) for (study, _), standing in stands.items())
    table = Table()
    for header in ("study", "suggestions", *get_args(State)):
        table.add_column(header, justify="left" if header == "study" else "right")
    for study in dict.fromkeys(study for study, _ in stands):
        numbers = [counts[study, state] for state in get_args(State)]
        table.add_row(study, str(sum(numbers)), *map(str, numbers))
    console.print(table)
