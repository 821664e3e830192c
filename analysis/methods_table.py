"""The comparison of methods as a table: python -m analysis.methods_table DIR [--out DIR]."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.text import Text

from analysis.drawing.terminal import fitted
from analysis.latex_table import latex_tables
from analysis.reading.code_versions import averaged_versions
from analysis.reading.equivalences import equivalences
from analysis.reading.frames import Frames, kinds_of, with_another_seed
from analysis.reading.script import bad_input_in_one_line, frames_of
from analysis.reading.selection import ANOTHER_SEED, is_reference, references_first
from analysis.reading.tuning import CONFIGURATION
from analysis.wording.certificates import certificate_lines, certificate_words
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import doing_nothing
from analysis.wording.escaping import in_csv, in_markdown, markdown_table
from analysis.wording.floor import floor_words
from analysis.wording.ideal import ideal_words, reference_words
from analysis.wording.names import configuration_labels, display_labels, label, task_labels, unit_words
from analysis.wording.own_originals import own_originals
from analysis.wording.words import by_numbers, ended_words, joined
from sweep.store.metrics import GAPS, metrics_of, shown

HOW = (
    "mean ± standard deviation over n seeds; in brackets the mean gap to {} of the same seed; cost: time relative to "
    "Retrain"
)
LARGE = 1e4
"""Numbers from here on are written with an exponent."""
OF_THE_FORGOTTEN = {
    label("forgotten_test_accuracy"): "TA: on the other classes; {}: on the forgotten one, not in the average gap",
    label("forgotten_test_error"): "TE: outside the forgotten range; {}: inside it, not in the average gap",
}
"""What test metrics are of where a part of the test data is like the forget set, by the label of the metric of that."""


def methods_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per task, method and configuration: Original, Retrain and `ANOTHER_SEED`, then the others, smallest
    average gap first.

    Args:
        trials: as `read_frames` gives them.

    Returns:
        Columns `task`, `kind` (of task), `method`, `seeds` (trials that ended ok), for each metric (RA, FA, ...) its
        `.mean`, `.std` (sample standard deviation; missing for one seed) and `.gap` (mean over seeds of the per-seed
        gap), `average_gap`, its `.std` and its `.n` (seeds that have it: Retrain ended ok there too), `seconds`,
        `relative_seconds`, `relative_samples` (means), `ended`: how many trials ended otherwise, in words,
        `code_versions`: how many the averaged trials are of, `label`: `method` with methods as the field writes them,
        `params`: the hyperparameters, JSON with every digit, `compared`: whether it is one that is compared,
        `certificate`: what the method certifies of its result (empty if nothing), `reference`: what gaps are to
        (`reference_words`), `remarks`: what a reader of the row's task must know first (`task_remarks`), `floor`: which
        methods are as good as Retrain (`floor_words`), and for the average gap and each metric of it the unadjusted
        p-value of that test, `average_gap.equivalence` and so on.
    """
    if trials.empty:
        return pd.DataFrame()
    compared = trials.assign(task=task_labels(trials), kind=kinds_of(trials))
    labelled = with_another_seed(compared)
    labelled = labelled.assign(label=configuration_labels(labelled))
    labelled["row"] = labelled.groupby(CONFIGURATION, sort=False).ngroup()
    first = labelled.drop_duplicates("row").reset_index(drop=True)
    table = first[["task", "kind", "label"]].set_axis(["task", "kind", "method"], axis=1)
    table = pd.concat([table, _statistics(labelled)], axis=1)
    table["code_versions"] = averaged_versions(labelled, first)
    table["label"], table["params"] = display_labels(first), first["params"]
    table["compared"] = ~is_reference(first) & (first["method"] != ANOTHER_SEED)
    for name, words in (("reference", reference_words), ("remarks", task_remarks), ("floor", floor_words)):
        table[name] = table["task"].map({task: words(rows) for task, rows in compared.groupby("task")})
    table = table.join(_p_values(compared, first))
    order = table.assign(rank=references_first(first["method"])).sort_values(
        ["task", "rank", "average_gap", "method"], na_position="last", key=_order
    )
    return table.loc[order.index].reset_index(drop=True)


def _order(column: pd.Series) -> pd.Series:
    """What a column of a table is sorted by: numbers within its texts by their size."""
    return column.map(by_numbers) if column.dtype.kind not in "biuf" else column


def task_remarks(trials: pd.DataFrame) -> str:
    """What a reader of one task's table must know first, as sentences."""
    found = (ideal_words(trials), doing_nothing(trials), own_originals(trials), code_words(trials))
    return " ".join(filter(None, found))


def _p_values(trials: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """The columns of `methods_table` that end in `.equivalence`, a row per configuration."""
    found = {str(task): equivalences(rows) for task, rows in trials.groupby("task_id")}
    tested = {task: each.p for task, each in found.items() if each is not None and len(each.p)}
    if not tested:
        return pd.DataFrame({"average_gap.equivalence": np.nan}, index=configurations.index)
    p = pd.concat(tested, names=[CONFIGURATION[0]])
    p.columns = [f"{name if name in GAPS else label(name)}.equivalence" for name in p.columns]
    return configurations[CONFIGURATION].join(p, on=CONFIGURATION).drop(columns=CONFIGURATION)


def _statistics(trials: pd.DataFrame) -> pd.DataFrame:
    """The columns of `methods_table` from `seeds` on, for each value of `row`."""
    rows = pd.RangeIndex(trials["row"].max() + 1)
    ok = trials[trials["status"] == "ok"].groupby("row")
    statistics = pd.DataFrame({"seeds": ok.size().reindex(rows, fill_value=0)})
    metrics = dict.fromkeys(metric for kind in trials["kind"].unique() for metric in shown(metrics_of(kind)))
    for metric in metrics:
        statistics[f"{metric.label}.mean"] = ok[metric.column].mean()
        statistics[f"{metric.label}.std"] = ok[metric.column].std()
        statistics[f"{metric.label}.gap"] = ok[f"gap.{metric.column}"].mean()
    statistics["average_gap"] = ok["average_gap"].mean()
    statistics["average_gap.std"] = ok["average_gap"].std()
    statistics["average_gap.n"] = ok["average_gap"].count().reindex(rows, fill_value=0)
    one_pair = (ok["method"].first() == ANOTHER_SEED) & (statistics["seeds"] == 2)  # seen from both sides
    spreads = [name for name in map(str, statistics) if name.endswith(".std")]
    statistics[spreads] = statistics[spreads].mask(one_pair)
    statistics["seconds"] = ok["unlearn_seconds"].mean()
    statistics["relative_seconds"] = ok["relative_seconds"].mean()
    statistics["relative_samples"] = ok["relative_samples"].mean()
    statistics["ended"] = trials.groupby("row")["status"].agg(ended_words)
    statistics["certificate"] = ok["notes"].first().map(certificate_words).reindex(rows, fill_value="")
    return statistics


PASSES = "passes"
"""The header of the samples processed relative to Retrain, which the terminal and a paper have no room for."""

NOT_OK, CODE = "not ok", "code"
"""The headers of what did not end ok, and of how many code versions are averaged."""


def display_rows(table: pd.DataFrame, names: str = "method") -> tuple[list[str], list[list[str]]]:
    """Headers and cells of `methods_table` for people, of one task; the column `names` has the names.

    A column `not ok` appears only where a trial did not end ok, `code` only where a row averages trials of several code
    versions, and a metric only where a row has a value of it, or no row has any metric. Where gaps are over fewer seeds
    than metrics, the average gap says over how many.
    """
    metrics = shown(metrics_of(table["kind"].iloc[0]))
    known = [each.label for each in metrics if table[f"{each.label}.mean"].notna().any()]
    labels = known or [each.label for each in metrics if each.side is not None]
    headers = ["method", "n", *labels, "avg. gap", "cost"]
    seldom = {NOT_OK: table["ended"], CODE: table["code_versions"].map(_versions)}
    seldom = {header: cells for header, cells in seldom.items() if (cells != "").any()}
    cells = []
    for row in table.to_dict("records"):
        numbers = [_metric(row, label) for label in labels]
        gap = _spread(row["average_gap"], row["average_gap.std"])
        if 0 < row["average_gap.n"] < row["seeds"]:
            gap += f", n = {row['average_gap.n']}"
        cells.append([row[names], str(row["seeds"]), *numbers, gap, _number(row["relative_seconds"])])
    for column in seldom.values():
        for line, cell in zip(cells, column, strict=True):
            line.append(cell)
    return [*headers, *seldom], cells


def _versions(count: int) -> str:
    return f"{count} code versions" if count > 1 else ""


def _caption(table: pd.DataFrame, headers: list[str]) -> str:
    metrics = [each for each in metrics_of(table["kind"].iloc[0]) if each.label in headers]
    parts = [f"{unit_words(metrics)}, {HOW.format(table['reference'].iloc[0])}"]
    parts += [words.format(name) for name, words in OF_THE_FORGOTTEN.items() if name in headers]
    apart = [each.label for each in metrics if each.side is None and each.label not in OF_THE_FORGOTTEN]
    return "; ".join([*parts, *([f"{joined(apart)}: not in the average gap"] if apart else [])])


def _metric(row: dict[Hashable, Any], label: str) -> str:
    value = _spread(row[f"{label}.mean"], row[f"{label}.std"])
    return value if pd.isna(row[f"{label}.gap"]) else f"{value} [{row[f'{label}.gap']:.1f}]"


def _spread(mean: float, std: float) -> str:
    if pd.isna(mean):
        return "–"
    form = ".1e" if abs(mean) >= LARGE else ".1f"
    return f"{mean:{form}}" if pd.isna(std) else f"{mean:{form}} ± {std:{form}}"


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}"


def render_rich(table: pd.DataFrame, console: Console) -> None:
    """Print one table per task, 80 columns wide: what few rows have stands below the method's name."""
    if table.empty:
        console.print("no trials")
        return
    for task, rows in _by_task(table):
        headers, cells = display_rows(rows)
        usual = len(headers) - len({NOT_OK, CODE} & set(headers))
        cells = [["\n".join(filter(None, [line[0], *line[usual:]])), *line[1:usual]] for line in cells]
        caption = _caption(rows, headers)
        for line in cells:
            line[0] = line[0].replace(ANOTHER_SEED, ANOTHER_SEED.replace(", ", ",\n"))
            line[1:] = [cell.replace(" ± ", "±").replace(" [", "\n[").replace(", n =", "\nn =") for cell in line[1:]]
        view = fitted(headers[:usual], cells, "±", console)
        view.title, view.title_justify = Text(str(task)), "left"
        view.caption, view.caption_justify = Text(caption), "left"
        console.print(view)
        for words in _sentences(rows):
            console.print(words, markup=False, highlight=False)


def to_markdown(table: pd.DataFrame) -> str:
    """One Markdown table per task."""
    parts = []
    for task, rows in _by_task(table):
        headers, cells = _with_passes(rows, *display_rows(rows, "label"))
        caption = _caption(rows, headers)
        caption = f"{caption[0].upper()}{caption[1:]}; {PASSES}: samples processed relative to Retrain."
        parts.append(f"## {in_markdown(task)}\n\n" + markdown_table(headers, cells) + f"\n\n{caption}\n")
        parts[-1] += "".join(f"\n{in_markdown(words)}\n" for words in _sentences(rows))
    return "\n".join(parts) or "No trials.\n"


def _with_passes(rows: pd.DataFrame, headers: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Headers and cells with one more: the samples processed, behind the cost."""
    behind = headers.index("cost") + 1
    passes = rows["relative_samples"].map(_number)
    longer = [[*line[:behind], each, *line[behind:]] for line, each in zip(cells, passes, strict=True)]
    return [*headers[:behind], PASSES, *headers[behind:]], longer


def to_html(table: pd.DataFrame) -> str:
    """One HTML table per task, as notebooks show them."""
    parts = []
    for task, rows in _by_task(table):
        headers, cells = display_rows(rows)
        parts.append(f"<p><b>{escape(task)}</b></p>")
        parts.append(pd.DataFrame(cells, columns=headers).to_html(index=False, border=0))
        parts += [f"<p>{escape(words)}</p>" for words in (_caption(rows, headers), *_sentences(rows))]
    return "\n".join(parts) or "<p>no trials</p>"


def to_latex(table: pd.DataFrame) -> str:
    """LaTeX, as `latex_tables` makes it."""

    def notes(rows: pd.DataFrame) -> list[str]:
        caption = _caption(rows, display_rows(rows)[0])
        return [f"{caption[0].upper()}{caption[1:]}.", *_sentences(rows)]

    return latex_tables(table, lambda rows: display_rows(rows, "label"), notes)


def _sentences(rows: pd.DataFrame) -> list[str]:
    """What stands under one task's table."""
    certified = [f"{methods}: {words}" for methods, words in certificate_lines(rows)]
    return [words for words in (rows["remarks"].iloc[0], rows["floor"].iloc[0], *certified) if words]


def _by_task(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [] if table.empty else [(str(task), rows) for task, rows in table.groupby("task", sort=False)]


WRITERS: dict[str, Callable[[pd.DataFrame], str]] = {
    "methods.md": to_markdown,
    "methods.csv": in_csv,
    "methods.tex": to_latex,
}
"""The files that `write_tables` writes."""


def write_tables(frames: Frames, out: Path) -> list[Path]:
    """Write the table as Markdown, CSV (every number, unrounded) and LaTeX; returns the files.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = methods_table(frames.trials)
    for name, render in WRITERS.items():
        (out / name).write_text(render(table), encoding="utf-8")
    return [out / name for name in WRITERS]


def main(directory: str, out: Path | None = None) -> None:
    """Print the comparison of methods in a results directory, and write it where --out says."""
    with bad_input_in_one_line():
        frames = frames_of(directory)
    render_rich(methods_table(frames.trials), Console(markup=False))
    if out is not None:
        for path in write_tables(frames, out):
            print(path)


if __name__ == "__main__":
    typer.run(main)
