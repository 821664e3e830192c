"""The report of a results directory: every table and figure that it allows, and one page that holds them all."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.against import HOW, MOST_ROWS, Against, against, write_against
from analysis.audit.opening import Opening, openings
from analysis.comparison import comparisons, question
from analysis.distances import distances
from analysis.drawing.figure import Draw, Drawn, Skipped, save
from analysis.failures import ended_otherwise, failures
from analysis.figures import FIGURES
from analysis.forget_quality import forget_quality
from analysis.methods_table import methods_table, write_tables
from analysis.prediction_tables import PredictionTable
from analysis.published import beside_published
from analysis.reading.frames import Frames
from analysis.reading.mixed_code import DEVICES, mixed_devices
from analysis.recall import recall
from analysis.relearning_tables import relearn_time, relearning
from analysis.reruns import reruns, stored_sections
from analysis.templates import environment
from analysis.wording.certificates import certificate_lines
from analysis.wording.code_words import code_words
from analysis.wording.ideal import RETRAIN, ideal_words, reference_words
from analysis.wording.names import distinct_metrics, metric_words
from analysis.wording.own_originals import own_originals
from analysis.wording.words import joined
from sweep.store.results import Results
from sweep.words import counted

PAGE_DPI = 100
"""Pixels of the page to an inch of a figure; its PNG has more, for sharp screens."""


@dataclass(frozen=True)
class Picture:
    """A figure on the page: `source` is a data URI, `links` the files beside the page."""

    name: str
    question: str
    finding: str
    alt: str
    source: str
    width: int
    height: int
    links: list[str]


def write_report(
    directory: str,
    frames: Frames,
    out: Path,
    figures: Mapping[str, Draw] = FIGURES,
    linked: bool = False,
    other: Frames | None = None,
) -> list[Path]:
    """Write tables, figures and `index.html`; returns the files, the page last.

    Args:
        directory: where `frames` were read from: a path or URI, as reruns will be given it.
        frames: as `read_frames` gives them.
        out: the folder to write to.
        figures: what to draw.
        linked: whether tables lead to the pages of configurations and trials (`analysis.pages`).
        other: another directory's, to set beside this one; None: nothing is.

    Raises:
        OSError: a file cannot be written.
    """
    made = [make(directory, frames.trials) for make in (distances, forget_quality, recall)]
    made += [make(frames) for make in (relearning, relearn_time)]
    further = [table for table in made if table is not None]
    unread: list[str] = []
    audited = openings(directory, frames.trials, unread.append)
    lost = [f"predictions/{name}.parquet: missing, damaged or not finite" for name in sorted(unread)]
    frames = replace(frames, damaged=[*frames.damaged, *lost])
    paths = [*write_tables(frames, out), *(path for table in further for path in table.write(out))]
    pictures, skipped, compared = [], [], frames.beside_retrain()
    for draw in figures.values():
        drawn = draw(compared)
        if isinstance(drawn, Skipped):
            skipped.append(drawn)
        else:
            files = save(drawn, out)
            pictures.append(_picture(drawn, files))
            paths += files
    beside = None if other is None else against(frames, other)
    paths += [] if beside is None else write_against(beside, out)
    page = out / "index.html"
    page.write_text(_render(directory, frames, audited, further, pictures, skipped, linked, beside), encoding="utf-8")
    return [*paths, page]


def _render(
    directory: str,
    frames: Frames,
    audited: list[Opening],
    further: list[PredictionTable],
    pictures: list[Picture],
    skipped: list[Skipped],
    linked: bool,
    beside: Against | None,
) -> str:
    results = Results(directory)
    tables, tasks = comparisons(frames.trials)
    trials = frames.trials.drop_duplicates("trial_id")
    searched = frames.searched[~frames.searched["trial_id"].isin(trials["trial_id"])]
    bad = ended_otherwise(frames)
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            linked=linked,
            name=joined(sorted(trials["sweep"].unique())) if len(trials) else Path(directory).name,
            question=question(trials, tables),
            facts=_facts(trials, searched, frames),
            to=" or ".join(sorted({reference_words(rows) for _, rows in trials.groupby("task_id")})) or RETRAIN,
            tables=tables,
            meanings=" ".join(metric_words(metrics) for metrics in distinct_metrics(table.metrics for table in tables)),
            tasks=tasks,
            audited=audited,
            further=further,
            certificates=certificate_lines(methods_table(frames.trials)),
            published=beside_published(frames.trials),
            against=beside,
            how=HOW,
            most=MOST_ROWS,
            pictures=pictures,
            skipped=skipped,
            spec=_text(results, "spec.yaml"),
            environment=_environment(_text(results, "environment.json")),
            failures=failures(bad),
            n_failures=len(bad),
            damaged=frames.damaged,
            reruns=reruns(trials, directory, stored_sections(_text(results, "spec.yaml"))),
            n_trials=len(trials),
            directory=directory,
            quoted=shlex.quote(directory),
        )
    )


def _facts(trials: pd.DataFrame, searched: pd.DataFrame, frames: Frames) -> list[tuple[str, str]]:
    """The results at a glance: what there is, how much of it, and where and when it ran."""
    if trials.empty:
        return []
    counts = trials["status"].value_counts()
    named = sorted(counts.index, key=lambda name: (name != "ok", name))
    ended = "all ok" if named == ["ok"] else joined([f"{counts[name]} {name}" for name in named])
    facts = [("Trials", f"{len(trials)}, {ended}"), ("Seeds", str(trials["seed"].nunique()))]
    ok = trials[trials["status"] == "ok"]
    if devices := mixed_devices(ok["task_id"], ok["device"].fillna("")):
        facts.append(("Mixed", f"{joined(devices)} in one task: {DEVICES}"))
    if mixed := code_words(trials):
        facts.append(("Mixed", mixed.removeprefix("Mixed code: ").removesuffix(".")))
    if ideal := ideal_words(trials):
        facts.append(("Reference", ideal.removesuffix(".")))
    if own := own_originals(trials):
        facts.append(("Originals", own.removesuffix(".")))
    if frames.superseded:
        facts.append(("Left out", f"{frames.superseded} of older versions of their methods"))
    if len(suggestions := frames.suggestions):
        studies = suggestions["study"].nunique()
        tried = f"{counted(len(suggestions), 'suggestion')} in {counted(studies, 'study', 'studies')}"
        judged = counted(len(searched), "trial that only judged them is", "trials that only judged them are")
        facts.append(("Searched", f"{tried}; {judged} in no comparison"))
    for header, column in (("Data", "dataset"), ("Model", "model"), ("Device", "device")):
        names = sorted(trials[column].dropna().unique())
        if names:
            facts.append((header, ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")))
    finished = trials["finished_at"].dropna()
    if len(finished):
        days = sorted({f"{day:%Y-%m-%d}" for day in (finished.min(), finished.max())})
        facts.append(("Finished", " to ".join(days)))
    return facts


def _picture(drawn: Drawn, files: list[Path]) -> Picture:
    image = next(path for path in files if path.suffix == ".png")
    width, height = (round(PAGE_DPI * inches) for inches in drawn.figure.get_size_inches())
    source = f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()}"
    links = [path.name for path in files if path != image]
    return Picture(drawn.name, drawn.question, drawn.finding, drawn.alt, source, width, height, links)


def _text(results: Results, path: str) -> str:
    """A text file of the directory; empty if there is none."""
    return (results.read(path) or b"").decode("utf-8", errors="replace")


def _environment(text: str) -> list[tuple[str, str]]:
    """The environment's names and values, nested ones by a dotted name; one row with the text if it is not JSON."""
    if not text.strip():
        return []
    try:
        return _flat(json.loads(text), "")
    except (ValueError, RecursionError):
        return [("not JSON", text)]


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in _flat(item, f"{name}.{key}".strip("."))]
    if isinstance(value, list):
        return [(name, ", ".join(map(str, value)) or "none")]
    return [(name, "none" if value is None else str(value))]
