"""The command `export`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.arguments import DirectoryArgument
from sweep.cli.messages import warn
from sweep.words import counted


def export(
    directory: DirectoryArgument,
    out: Annotated[str, typer.Argument(metavar="OUT", help="A folder; export replaces no file in it.")],
) -> None:
    """Write each folder of results as one Parquet file, OUT/<folder>.parquet, and a data card, to share."""
    from sweep.store.data_card import CARD
    from sweep.store.export import export as write
    from sweep.store.results import existing_results

    for done in write(existing_results(directory), out):
        for problem in done.damaged:
            warn(f"{problem}; its rows are left out")
        if done.rows:
            print(f"{done.path}: {counted(done.rows, 'row')}")
    print(f"{out}/{CARD}: describes them, and leaves the licence to you")
