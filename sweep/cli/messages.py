"""What commands tell on standard error, and how bad input is named."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

from sweep.errors import InputError, Unsuccessful
from sweep.store.redaction import redacted

if TYPE_CHECKING:
    from sweep.store.parquet import Rows

T = TypeVar("T")


@contextmanager
def showing_results(where: str) -> Iterator[None]:
    """What only shows results: if it fails by a fault of ours, the traceback is followed by that nothing is lost.

    Raises:
        Unsuccessful: it failed.
    """
    try:
        yield
    except (InputError, Unsuccessful, OSError, typer.Exit):
        raise
    except Exception as error:
        traceback.print_exc()
        why = f"{type(error).__name__} while results were shown, a fault of this program"
        raise Unsuccessful(f"{why}: all results are stored in {where}") from error


def located(spec: str, action: Callable[[], T]) -> T:
    """What `action` returns; bad input that it finds is named with the spec it is in."""
    try:
        return action()
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(("--", "RAY_")) else f"{spec}: {error}") from error


def warn_of_damage(found: Rows) -> None:
    for problem in found.damaged:
        warn(f"{problem}; it counts as absent")


def warn(message: str) -> None:
    print(f"warning: {redacted(message)}", file=sys.stderr)


def fail(message: str, code: int) -> int:
    if message:
        print(f"unlearn-sweep: {redacted(' '.join(message.split()))}", file=sys.stderr)
    return code
