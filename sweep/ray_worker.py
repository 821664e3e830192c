"""What a process of Ray's does first."""

from __future__ import annotations

from contextlib import suppress

FIRST = f"{__name__}.import_ours"
"""The name of `import_ours`, as Ray's `worker_process_setup_hook` takes it."""


def import_ours() -> None:
    """Import this project, and with it what it needs, while only what is installed can be found.

    Afterwards, and before a process's first task, Ray puts the folder in which the command was given before all other
    places. A module there may have any name: sweep, methods, torch.
    """
    with suppress(Exception):  # the first task fails in the same way, and is heard
        import sweep.ray_executor  # noqa: F401
