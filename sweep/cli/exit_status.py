"""What the exit status of a command that runs trials says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

OUT_OF_TIME = 3
"""When `--time-budget` ended a run before every trial had run."""

INTERRUPTED = 130
"""After Ctrl-C or SIGTERM."""


def tell_ends(console: Console, where: str, failed: int, missing: int, out_of_time: bool) -> int:
    """Print where the results are and how many trials failed or were not run; the exit status.

    Args:
        out_of_time: whether those that are missing were not run for lack of time.
    """
    console.print(f"results: {where}", soft_wrap=True)
    if failed:
        console.print(f"{failed} trials failed: unlearn-sweep status {where}", soft_wrap=True)
    if missing:
        console.print(f"{missing} trials were not run; the same command runs them", soft_wrap=True)
    if missing and out_of_time:
        return OUT_OF_TIME
    return 1 if failed or missing else 0
