"""What every process of Ray does first."""

from __future__ import annotations

from contextlib import suppress


def import_ours() -> None:
    """Import this project and what it needs, while Python finds only installed packages.

    Before a process's first task Ray puts the folder in which the command was given first on Python's path. A module
    there may have any name, such as sweep, methods or torch, and must not be imported in place of ours.
    """
    with suppress(Exception):  # the first task fails in the same way, and that is reported
        import sweep.on_ray.executor  # noqa: F401
