"""Warnings and errors of commands: one line each on standard error, without secrets."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

from sweep.errors import InputError, Unsuccessful
from sweep.spec.source import Source, called
from sweep.store.redaction import redacted

if TYPE_CHECKING:
    from sweep.store.parquet import Rows

T = TypeVar("T")


@contextmanager
def showing_results(where: str) -> Iterator[None]:
    """Run code that only shows stored results. If a bug ends it, print the traceback, and say that nothing is lost.

    Args:
        where: the results directory.

    Raises:
        Unsuccessful: a bug ended it.
    """
    try:
        yield
    except (InputError, Unsuccessful, OSError, typer.Exit):
        raise
    except Exception as error:
        traceback.print_exc()
        why = f"{type(error).__name__} while results were shown, which is a bug of this program"
        raise Unsuccessful(f"{why}: all results are stored in {where}") from error


def located(spec: Source, action: Callable[[], T]) -> T:
    """What `action` returns. If it raises InputError about a key of the spec, name the spec in the message."""
    try:
        return action()
    except InputError as error:
        about_options = str(error).startswith(("--", "RAY_"))
        raise InputError(str(error) if about_options else f"{called(spec)}: {error}") from error


def warn_of_damage(*found: Rows) -> None:
    """Name each results file that cannot be read."""
    for problem in (each for rows in found for each in rows.damaged):
        warn(f"{problem}; it counts as absent")


def warn(message: str) -> None:
    """Print one warning."""
    print(f"warning: {redacted(message)}", file=sys.stderr)


def fail(message: str, code: int) -> int:
    """Print an error as one line; return the exit status `code`."""
    if message:
        print(f"unlearn-sweep: {redacted(' '.join(message.split()))}", file=sys.stderr)
    return code
