"""The last lines and the exit status of a command that runs trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.words import counted, them

if TYPE_CHECKING:
    from rich.console import Console

OUT_OF_TIME = 3
"""The time budget was spent before every trial had run."""

INTERRUPTED = 130
"""Ctrl-C or SIGTERM ended the command."""


def tell_ends(console: Console, where: str, failed: int, missing: int, budgeted: bool) -> int:
    """Print where the results are and how many trials failed or were not run; return the exit status.

    Args:
        missing: how many trials were not run.
        budgeted: whether the run had a time budget, which then is the reason.
    """
    console.print(f"results: {where}", soft_wrap=True)
    if failed:
        console.print(f"{counted(failed, 'trial')} failed: unlearn-sweep status {where}", soft_wrap=True)
    if missing:
        words = counted(missing, "trial was", "trials were")
        console.print(f"{words} not run; the same command runs {them(missing)}", soft_wrap=True)
    if missing and budgeted:
        return OUT_OF_TIME
    return 1 if failed or missing else 0
