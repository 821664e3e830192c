"""What a process of Ray's does first."""

from __future__ import annotations

from contextlib import suppress


def import_ours() -> None:
    """Import this project, and with it what it needs, while only what is installed can be found.

    Afterwards, and before a process's first task, Ray puts the folder in which the command was given before all other
    places. A module there may have any name: sweep, methods, torch.
    """
    with suppress(Exception):  # the first task fails in the same way, and is heard
        import sweep.on_ray.executor  # noqa: F401
