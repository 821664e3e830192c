"""The command `merge`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.messages import warn
from sweep.errors import InputError
from sweep.words import counted

if TYPE_CHECKING:
    from sweep.store.results import Results


def merge(
    directories: Annotated[list[str], typer.Argument(metavar="DIR...", help="Results directories or URIs.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="A new directory or URI, or results to add to.")],
) -> None:
    """Join results of several machines into one directory. Removes and replaces nothing; given again, it goes on."""
    from sweep.plan.code_version import code_version, package_version
    from sweep.store.merge import merge as join
    from sweep.store.results import Results, existing_results

    sources = [existing_results(directory) for directory in directories]
    target = Results(out)
    _check(sources, out, target)
    done = join(sources, target, lambda version: package_version(version or "") == code_version())
    for problem in done.damaged:
        warn(f"{problem}; it is left out")
    for directory, count in zip(directories, done.copied, strict=True):
        print(f"{directory}: {counted(count, 'trial')} copied")
    for line in done.notes:
        print(line)
    print(f"results: {out}")


def _check(sources: Sequence[Results], out: str, target: Results) -> None:
    """Raise InputError if `out` is one of the directories or lies in one, or holds something else than results."""
    for source in sources:
        if source.holds(target):
            said = "is one of the directories to merge" if target.holds(source) else f"lies in {source.location}"
            raise InputError(f"{out}: {said}; name another for the result")
    if target.size("spec.yaml") is None and not target.exists("trials") and (there := target.names("")):
        raise InputError(f"{out}: holds {there[0]} and no results; name another directory")
