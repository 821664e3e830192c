"""The command `score`."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import DirectoryArgument, ReportOutOption, report_folder
from sweep.cli.messages import showing_results, warn
from sweep.errors import InputError, Unsuccessful, nearest
from sweep.words import counted

if TYPE_CHECKING:
    from analysis.audit.score import Score

MOST_NAMED = 3


def score(
    directory: DirectoryArgument,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only these scores, method by method; unlearn-sweep list metrics names them."
        ),
    ] = None,
    out: ReportOutOption = None,
    plugin: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:CLASS", help="Import this score and compute it too.")
    ] = None,
) -> None:
    """Score how well methods forgot, from the predictions that are stored; write audit.parquet, audit.csv, audit.md."""
    from analysis.audit.printed import render_rich, task_tables, write_audit
    from analysis.audit.score import ScoreFailed
    from analysis.audit.table import audit
    from analysis.reading.frames import read_frames
    from sweep.store.results import existing_results

    existing_results(directory)
    folder = report_folder(directory, out)
    scores = chosen_scores(metric or (), plugin or ())
    with showing_results(directory):
        frames = read_frames(directory)
        for problem in frames.damaged:
            warn(problem)
        unread: list[str] = []
        try:
            frame = audit(directory, frames.trials, scores, unread=unread.append)
        except ScoreFailed as failed:
            traceback.print_exception(failed.__cause__)
            why = f"{type(failed.__cause__).__name__}: {failed.__cause__}"
            raise Unsuccessful(f"score {failed}: {why}; nothing was written") from failed
        if unread:
            some = ", ".join(sorted(unread)[:MOST_NAMED]) + (", ..." if len(unread) > MOST_NAMED else "")
            warn(f"left out, for their predictions are missing or damaged: {counted(len(unread), 'trial')}, {some}")
        if frame.empty:
            what = "predictions ('predictions: true') of a method and of Retrain, of the same task and seed"
            raise InputError(f"{directory}: nothing to score; that takes {what}")
        console = Console(markup=False)
        tables = task_tables(frame, frames.trials, scores)
        render_rich(tables, console, whole=bool(metric))
        if not metric:
            console.print("Each method by each score, with intervals and what scores mean: audit.md; or --metric NAME")
        for path in write_audit(frame, tables, folder):
            console.print(str(path), soft_wrap=True, markup=False, highlight=False)


def chosen_scores(names: Sequence[str], plugins: Sequence[str]) -> Sequence[Score]:
    """The scores of these names, or all; plugins are among them.

    Raises:
        InputError: no score has such a name, or a plugin is none.
    """
    from analysis.audit.scores import SCORES

    known = {each.name: each for each in SCORES}
    for plugin in plugins:
        found = _loaded(plugin)
        if found.name in known:
            raise InputError(f"plugin '{plugin}': another score is called '{found.name}'; give it another name")
        known[found.name] = found
    for name in names:
        if name not in known:
            raise InputError(f"--metric: unknown score '{name}'; {nearest(name, known)}")
    return [each for name, each in known.items() if name in names or not names]


def _loaded(plugin: str) -> Score:
    from analysis.audit.score import Score
    from sweep.spec.plugins import load_class

    if ":" not in plugin:
        raise InputError(f"--plugin {plugin}: write package.module:Class")
    found = load_class(plugin, Score, "analysis.audit.score.Score")
    known = {name: getattr(found, name, None) for name in ("name", "label", "words")}
    if missing := [name for name, value in known.items() if not (value and isinstance(value, str))]:
        raise InputError(f"plugin '{plugin}' does not define {', '.join(missing)}")
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise InputError(f"plugin '{plugin}' cannot be made without arguments: {error}") from error
