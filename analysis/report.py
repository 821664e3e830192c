"""The report of a results directory: every table and figure that it allows, and one page that holds them all."""

from __future__ import annotations

import base64
import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis.against import HOW, Against, against, write_against
from analysis.audit.opening import Opening, openings
from analysis.comparison import Comparison, comparisons
from analysis.distances import distances
from analysis.drawing.figure import Draw, Drawn, Skipped, save
from analysis.figures import FIGURES
from analysis.forget_quality import forget_quality
from analysis.methods_table import LARGE, methods_table, write_tables
from analysis.prediction_tables import PredictionTable
from analysis.published import beside_published
from analysis.reading.frames import Frames
from analysis.reading.mixed_code import DEVICES, mixed_devices
from analysis.reading.selection import ANOTHER_SEED
from analysis.reading.tuning import untuned_name
from analysis.recall import recall
from analysis.relearning_tables import relearn_time, relearning
from analysis.statistics.intervals import Interval
from analysis.wording.certificates import certificate_lines
from analysis.wording.code_words import code_words
from analysis.wording.ideal import RETRAIN, ideal_words, reference_words
from analysis.wording.names import METHODS, configuration_labels, method_name, metric_words, task_labels
from analysis.wording.own_originals import own_originals
from analysis.wording.words import joined
from sweep.errors import InputError
from sweep.spec.spec_file import read_yaml, write_yaml
from sweep.store.columns import REFERENCES
from sweep.store.metrics import Metric
from sweep.store.results import Results
from sweep.store.row_lists import row_list_path

MOST_TRIALS = 500
MOST_FAILURES = 100
"""Trials that a page lists."""

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


@dataclass(frozen=True)
class Failure:
    """A trial that did not end ok."""

    trial_id: str
    method: str
    seed: int
    status: str
    line: str
    error: str


@dataclass(frozen=True)
class Rerun:
    """How to run one trial again: the command, and its spec as YAML."""

    trial_id: str
    what: str
    status: str
    command: str
    spec: str


def write_report(
    directory: str, frames: Frames, out: Path, figures: Mapping[str, Draw] = FIGURES, other: Frames | None = None
) -> list[Path]:
    """Write tables, figures and `index.html`; returns the files, the page last.

    Args:
        directory: where `frames` were read from: a path or URI, as reruns will be given it.
        frames: as `read_frames` gives them.
        out: the folder to write to.
        figures: what to draw.
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
    page.write_text(_render(directory, frames, audited, further, pictures, skipped, beside), encoding="utf-8")
    return [*paths, page]


def _render(
    directory: str,
    frames: Frames,
    audited: list[Opening],
    further: list[PredictionTable],
    pictures: list[Picture],
    skipped: list[Skipped],
    beside: Against | None,
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = _interval
    environment.filters["figure"] = _figure
    results = Results(directory)
    tables, tasks = comparisons(frames.trials)
    trials = frames.trials.drop_duplicates("trial_id")
    searched = frames.searched[~frames.searched["trial_id"].isin(trials["trial_id"])]
    bad = [trials[trials["status"] != "ok"], searched[searched["status"] == "failed"]]
    ended_otherwise = pd.concat([rows for rows in bad if len(rows)] or bad[:1])
    return environment.get_template("report.html.jinja").render(
        name=joined(sorted(trials["sweep"].unique())) if len(trials) else Path(directory).name,
        question=_question(trials, tables),
        facts=_facts(trials, searched, frames),
        to=" or ".join(sorted({reference_words(rows) for _, rows in trials.groupby("task_id")})) or RETRAIN,
        tables=tables,
        meanings=" ".join(metric_words(metrics) for metrics in _distinct(table.metrics for table in tables)),
        tasks=tasks,
        audited=audited,
        further=further,
        certificates=certificate_lines(methods_table(frames.trials)),
        published=beside_published(frames.trials),
        against=beside,
        how=HOW,
        most=MOST_TRIALS,
        pictures=pictures,
        skipped=skipped,
        spec=_text(results, "spec.yaml"),
        environment=_environment(_text(results, "environment.json")),
        failures=_failures(ended_otherwise),
        n_failures=len(ended_otherwise),
        damaged=frames.damaged,
        reruns=_reruns(trials, directory, _stored_sections(_text(results, "spec.yaml"))),
        n_trials=len(trials),
        directory=directory,
        quoted=shlex.quote(directory),
    )


def _distinct(shown: Iterable[tuple[Metric, ...]]) -> list[tuple[Metric, ...]]:
    """What tables show, without what another of them shows too."""
    every = [*dict.fromkeys(shown)]
    return [metrics for metrics in every if not any(set(metrics) < set(other) for other in every)]


def _question(trials: pd.DataFrame, tables: list[Comparison]) -> str:
    """What the trials can answer, as the page's heading."""
    if trials.empty:
        return "Nothing has been run yet"
    methods = sorted({row.method for table in tables for row in table.rows})
    compared = [name for name in methods if name not in {method_name(each) for each in (*REFERENCES, ANOTHER_SEED)}]
    if METHODS["retrain"] not in methods or not compared:
        return "How do the methods compare?" if len(methods) > 1 else f"What does {methods[0]} do?"
    if len(compared) == 1:
        return f"How close does {compared[0]} come to Retrain?"
    return "Which method comes closest to Retrain?"


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
        tried = f"{len(suggestions)} suggestions in {studies} stud{'ies' if studies > 1 else 'y'}"
        facts.append(("Searched", f"{tried}; {len(searched)} trials that only judged them are in no comparison"))
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


def _failures(trials: pd.DataFrame) -> list[Failure]:
    failures = []
    for _, row in trials.assign(label=configuration_labels(trials)).head(MOST_FAILURES).iterrows():
        error = row["error"].strip() if isinstance(row["error"], str) else ""
        line = error.splitlines()[-1] if error else ""
        failures.append(Failure(row["trial_id"], row["label"], int(row["seed"]), row["status"], line, error))
    return failures


def _reruns(trials: pd.DataFrame, directory: str, stored: Mapping[str, Any]) -> list[Rerun]:
    if trials.empty:
        return []
    labelled = trials.assign(task=task_labels(trials), label=configuration_labels(trials))
    shown = labelled.sort_values(["task", "method", "label", "seed"]).head(MOST_TRIALS)
    several = shown["task"].nunique() > 1
    return [
        Rerun(
            trial_id=row["trial_id"],
            what=f"{row['label']}, seed {row['seed']}" + (f", {row['task']}" if several else ""),
            status=row["status"],
            command=shlex.join(["unlearn-sweep", "rerun", directory, row["trial_id"], *_allowed(row)]),
            spec=spec_fragment(row["config"], stored, directory),
        )
        for _, row in shown.iterrows()
    ]


def _allowed(row: pd.Series) -> list[str]:
    """The options that let `rerun` import the plugins of a trial."""
    plugins = dict.fromkeys(name for name in (row["dataset"], row["model"], untuned_name(row["method"])) if ":" in name)
    return [word for name in plugins for word in ("--plugin", name)]


def _stored_sections(spec: str) -> Mapping[str, Any]:
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


def _text(results: Results, path: str) -> str:
    """A text file of the directory; empty if there is none."""
    return (results.read(path) or b"").decode("utf-8", errors="replace")


def _environment(text: str) -> list[tuple[str, str]]:
    """The environment's names and values, nested ones by a dotted name; one row with the text if it is not JSON."""
    if not text.strip():
        return []
    try:
        return _flat(json.loads(text), "")
    except ValueError:
        return [("not JSON", text)]


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in _flat(item, f"{name}.{key}".strip("."))]
    if isinstance(value, list):
        return [(name, ", ".join(map(str, value)) or "none")]
    return [(name, "none" if value is None else str(value))]


def _interval(interval: Interval, digits: int = 1) -> str:
    """[low, high], or nothing where there is no interval."""
    return f"[{_figure(interval.low, digits)}, {_figure(interval.high, digits)}]" if interval.known else ""


def _figure(value: float, digits: int = 1) -> str:
    """A number; a large one with an exponent."""
    return f"{value:.1e}" if LARGE <= abs(value) < math.inf else f"{value:.{digits}f}"
