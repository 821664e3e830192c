"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import DirectoryArgument, ReportOutOption, report_folder
from sweep.cli.messages import showing_results, warn
from sweep.words import counted

if TYPE_CHECKING:
    from analysis.reading.frames import Frames

MOST_LINES = 500
"""How many configurations `report` prints at most."""


def report(
    directory: DirectoryArgument,
    out: ReportOutOption = None,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Another results directory, to set beside this one.")
    ] = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="Write a page for each configuration and trial too, as view shows them.")
    ] = False,
) -> None:
    """Write every table and figure that the results allow, and index.html, which shows all of them."""
    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_frames
    from analysis.report import write_report
    from sweep.store.results import existing_results

    existing_results(directory)
    if against is not None:
        existing_results(against)
    folder = report_folder(directory, out)
    with showing_results(directory):
        other = None if against is None else read_frames(against)
        frames = read_frames(directory)  # last, for all is called by the labels of what was read last
        for problem in [*frames.damaged, *(f"{against}: {each}" for each in (other.damaged if other else []))]:
            warn(problem)
        console = Console(markup=False)
        table = methods_table(frames.trials)
        render_rich(table.head(MOST_LINES), console)
        if len(table) > MOST_LINES:
            console.print(f"{MOST_LINES} of {len(table)} configurations; all of them are in methods.md and methods.csv")
        for path in write_report(directory, frames, folder, linked=trials, other=other):
            console.print(str(path), soft_wrap=True, markup=False, highlight=False)
        if trials:
            _write_pages(directory, frames, folder, console)


def _write_pages(directory: str, frames: Frames, folder: Path, console: Console) -> None:
    from analysis.pages.files import write_pages
    from analysis.pages.site import Site
    from sweep.cli.stored_spec import StoredSamples
    from sweep.store.results import Results

    results = Results(directory)
    for place, count in write_pages(Site(frames, results, StoredSamples(results).of), folder).items():
        console.print(f"{place}: {counted(count, 'page')}", soft_wrap=True, markup=False, highlight=False)
