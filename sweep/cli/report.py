"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.messages import showing_results, warn
from sweep.errors import InputError

MOST_LINES = 500
"""How many configurations `report` prints at most."""


def report(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where to write; DIR/report by default.")] = None,
) -> None:
    """Write every table and figure that the results allow, and index.html, which shows all of them."""
    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_frames
    from analysis.report import write_report
    from sweep.store.results import existing_results

    existing_results(directory)
    if out is None and "://" in directory:
        raise InputError("--out: needed where the results are at a URI")
    folder = Path(out) if out else Path(directory) / "report"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is not a directory")
    with showing_results(directory):
        frames = read_frames(directory)
        for problem in frames.damaged:
            warn(problem)
        console = Console()
        table = methods_table(frames.trials)
        render_rich(table.head(MOST_LINES), console)
        if len(table) > MOST_LINES:
            console.print(f"{MOST_LINES} of {len(table)} configurations; all of them are in methods.md and methods.csv")
        for path in write_report(directory, frames, folder):
            console.print(str(path), soft_wrap=True, markup=False, highlight=False)
