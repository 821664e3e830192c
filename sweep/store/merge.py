"""Joins results directories into one: files are only added, so that a merge that was interrupted goes on when repeated.

What a reader needs of a trial is written before its row, as a worker does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweep.store.columns import METRICS
from sweep.store.labels import read_labels, write_labels
from sweep.store.merge_suggestions import merge_suggestions
from sweep.store.original_labels import differ_words, of_several_weights, original_path, read_label
from sweep.store.parquet import LARGE, Rows, parquet_bytes
from sweep.store.results import Results
from sweep.store.status import Row, kept
from sweep.words import counted

RESULT = ("status", *METRICS, "other", "model_sha256")
"""What two runs of one trial are compared by."""

RULE = "kept are those that ended, then of this code version, of the original kept, with most predictions, the latest"
"""Of those that ended alike, one whose files can be read takes the place of one with damaged files."""


@dataclass
class Merged:
    """What a merge did.

    Attributes:
        copied: for each source how many trials were copied from it.
        notes: what a reader of the result should know, a line each.
        damaged: files that could not be read ("directory: path: why"); they are left out.
    """

    copied: list[int]
    notes: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Candidate:
    """One directory's row of a trial. `source` is None for the row that the merged directory has already."""

    source: int | None
    row: dict[str, Any]


@dataclass(frozen=True)
class Files:
    """What can be read of a trial beside its row."""

    traces: list[dict[str, Any]]
    predictions: pa.Table | None

    @property
    def absent(self) -> set[str]:
        """The folders that have nothing of it."""
        rows = {"traces": len(self.traces), "predictions": 0 if self.predictions is None else len(self.predictions)}
        return {folder for folder, there in rows.items() if not there}

    def lost(self, row: Row) -> set[str]:
        """The folders that have nothing of it, though its row says that they should."""
        return {folder for folder in self.absent if row[f"n_{folder}"]}


def merge(sources: Sequence[Results], out: Results, current: Callable[[str | None], bool]) -> Merged:
    """Add to `out` all that the sources hold and it does not, also files in the place of damaged ones.

    Args:
        current: whether a `code_version` is that of the code that runs now.

    Raises:
        OSError: results cannot be read or stored.
    """
    done = Merged([0] * len(sources))
    _describe(sources, out, done)
    tables = [_told(source, source.trials(), done) for source in sources]
    models = _merge_originals(sources, out, current, done)
    for folder in ("rows", "kinds"):
        for source in sources:
            for name in source.names(folder):
                _copy(source, out, f"{folder}/{name}")
    candidates: dict[str, list[Candidate]] = {}
    for row in out.trials().table.to_pylist():
        candidates.setdefault(row["trial_id"], []).append(Candidate(None, row))
    for number, table in enumerate(tables):
        for row in table.to_pylist():
            candidates.setdefault(row["trial_id"], []).append(Candidate(number, row))
    done.notes += merge_suggestions([_told(source, source.suggestions(), done) for source in sources], out)
    relearned = _relearned(sources, tables, done)
    chosen: dict[str, Candidate] = {}
    for name, found in candidates.items():
        one, files = _taken(_ranked(found, models, current), sources, out, done)
        chosen[name] = one
        for source, points in relearned.get(name, []):
            _copy_relearned(source, out, points, one.row)
        if one.source is not None:
            own = any(each.row["study"] is None for each in found)  # of a sweep, and not of a search alone
            out.write_trial(one.row | ({"study": None} if own else {}), files.traces, files.predictions)
            done.copied[one.source] += 1
    done.notes += _words(candidates, chosen)
    return done


def _told(source: Results, found: Rows, done: Merged) -> pa.Table:
    done.damaged += [f"{source.location}: {problem}" for problem in found.damaged]
    return found.table


def _copy(source: Results, out: Results, path: str) -> None:
    if out.size(path) is None and (content := source.read(path)) is not None:
        out.write(path, content)


def _describe(sources: Sequence[Results], out: Results, done: Merged) -> None:
    """Write spec.yaml, labels.json and environment.json: of several environments all, numbered as the sources are."""
    specs = [content for source in sources if (content := source.read("spec.yaml")) is not None]
    if specs and out.size("spec.yaml") is None:
        out.write("spec.yaml", specs[0])
    if len(set(specs)) > 1:
        done.notes.append("specs differ: spec.yaml is that of the first")
    for source in sources:
        write_labels(out, {}, read_labels(source))
    texts = {number: source.read("environment.json") for number, source in enumerate(sources, start=1)}
    known = {number: text for number, text in texts.items() if text is not None}
    if known and out.size("environment.json") is None:
        one = next(iter(known.values()))
        same = len(set(known.values())) == 1
        out.write("environment.json", one if same else json.dumps(_parsed(known), indent=2).encode())


def _parsed(texts: Mapping[int, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, text in texts.items():
        try:
            found[str(number)] = json.loads(text)
        except (ValueError, RecursionError):
            found[str(number)] = text.decode("utf-8", errors="replace")
    return found


def _merge_originals(
    sources: Sequence[Results], out: Results, current: Callable[[str | None], bool], done: Merged
) -> dict[str, str]:
    """Copy missing originals: of several that of this code version, of these the first. Return checksums by id."""
    from sweep.store.originals import load_original  # it imports torch

    kept, others = {}, 0
    ending = ".safetensors"
    names = dict.fromkeys(
        name.removesuffix(ending) for source in (out, *sources) for name in source.names("models") if ending in name
    )
    for name in names:
        labels = [(source, label) for source in (out, *sources) if (label := read_label(source, name)) is not None]
        labels.sort(key=lambda pair: (pair[0] is not out, not current(pair[1].version)))
        whole = (pair for pair in labels if pair[0] is out or load_original(pair[0], name) is not None)
        source, label = next(whole, (None, None))
        if source is None or label is None:
            done.damaged.append(f"{original_path(name)}: its weights are damaged")
            continue
        if source is not out:
            _copy(source, out, original_path(name))
        kept[name] = label.sha256
        others += any(other.sha256 != label.sha256 for _, other in labels)
    if others:
        which = counted(others, "original has", "originals have")
        done.notes.append(f"{which} other weights in another directory, and only one of each is kept")
    return kept


def _ranked(
    found: Sequence[Candidate], models: Mapping[str, str], current: Callable[[str | None], bool]
) -> list[Candidate]:
    """The best first: what the merged directory has already, then by `RULE`."""

    def worth(candidate: Candidate) -> tuple[Any, ...]:
        row = candidate.row
        return (
            candidate.source is None,
            _ended(row),
            current(row["code_version"]),
            row["original_sha256"] is None or models.get(row["original_id"]) == row["original_sha256"],
            kept(row),
            row["finished_at"] is not None,
            row["finished_at"],
        )

    return sorted(found, key=worth, reverse=True)


def _ended(row: Row) -> int:
    return ["pruned", "failed"].index(row["status"]) if row["status"] in ("pruned", "failed") else 2


def _taken(
    ranked: Sequence[Candidate], sources: Sequence[Results], out: Results, done: Merged
) -> tuple[Candidate, Files]:
    """The first candidate, or another that has files which are damaged there; and what can be read of its files.

    Another must have ended as the first did and, where the merged directory has the trial, with the same result.
    """
    best, *others = ranked
    there = best.source is None
    if there and not others:
        return best, Files([], None)  # which nobody writes
    files = _files(out if best.source is None else sources[best.source], best.row, [] if there else done.damaged)
    for other in others:
        wanted = files.absent if there else files.lost(best.row)
        fits = _alike(other.row, best.row) if there else _ended(other.row) == _ended(best.row)
        if fits and other.source is not None and any(other.row[f"n_{folder}"] for folder in wanted):
            found = _files(sources[other.source], other.row, done.damaged)
            if found.absent < files.absent:
                best, files = other, found
    return best, files


def _files(results: Results, row: Row, damaged: list[str]) -> Files:
    """What can be read of a trial's files; what cannot is added to `damaged`."""
    name = row["trial_id"]
    files = Files(results.trace(name), results.predictions(name))
    damaged += [
        f"{results.location}: {folder}/{name}.parquet: missing or damaged" for folder in sorted(files.lost(row))[::-1]
    ]
    return files


def _relearned(
    sources: Sequence[Results], tables: Sequence[pa.Table], done: Merged
) -> dict[str, list[tuple[Results, pa.Table]]]:
    """What was relearned of each trial, and where: the rows of a recipe together."""
    paths: dict[str, list[tuple[Results, pa.Table]]] = {}
    for source, table in zip(sources, tables, strict=True):
        for points in _paths(_told(source, source.relearned(table), done)):
            paths.setdefault(points["trial_id"][0].as_py(), []).append((source, points))
    return paths


def _copy_relearned(source: Results, out: Results, points: pa.Table, row: Row) -> None:
    """Copy what was relearned of a trial if it is of the model that is kept, whichever directory has it."""
    trial_id, relearning_id = points["trial_id"][0].as_py(), points["relearning_id"][0].as_py()
    path = f"{trial_id}-{relearning_id}.parquet"
    if row["model_sha256"] != points["model_sha256"][0].as_py() or out.size(f"relearned/{path}") is not None:
        return
    said = source.relearned_predictions(trial_id, relearning_id)
    if said is not None:
        out.write(f"relearned_predictions/{path}", parquet_bytes(said, LARGE))
    out.write(f"relearned/{path}", parquet_bytes(points))


def _paths(relearned: pa.Table) -> Iterator[pa.Table]:
    """The rows of each trial and recipe."""
    keys = pc.binary_join_element_wise(relearned["trial_id"], relearned["relearning_id"], "-")
    for key in pc.unique(keys).to_pylist():
        yield relearned.filter(pc.equal(keys, key)).combine_chunks()


def _words(candidates: Mapping[str, Sequence[Candidate]], chosen: Mapping[str, Candidate]) -> list[str]:
    """How many trials are in several directories with different results, and whether their originals differ."""
    words = []
    several = [name for name, found in candidates.items() if len(found) > 1]
    different = [name for name in several if not all(_alike(each.row, chosen[name].row) for each in candidates[name])]
    if different:
        verb = "differs" if len(different) == 1 else "differ"
        stayed = sum(chosen[name].source is None for name in different)
        there = f"; of {stayed} the merged directory had one already, which stays" if stayed else ""
        words.append(
            f"{len(different)} of {counted(len(several), 'trial')} in several directories {verb}: {RULE}{there}"
        )
    if mixed := of_several_weights(one.row for one in chosen.values()):
        words.append(differ_words(len(mixed)))
    return words


def _alike(one: Row, other: Row) -> bool:
    """Whether two rows of a trial say the same of its result, as far as both say anything."""
    return all(None in (one[name], other[name]) or one[name] == other[name] for name in RESULT)
