"""Of several commands on one results directory, only one runs a trial.

    DIR/.claims/<name>.command   what a command runs, as JSON; the command holds the system's lock of this file
    DIR/.claims/commands         empty; locked while a command looks what others run

The system releases the locks of a process that dies. The next command removes its file.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sweep.engine.claims import CLAIMS
from sweep.errors import InputError
from sweep.store.location import absolute_location, local_path

PATIENCE = 30.0
"""Seconds to wait for a command that looks what others run, which takes it milliseconds."""


@contextmanager
def exclusively(location: str, names: Set[str]) -> Iterator[None]:
    """Let no other command run what has one of these names into this results directory, as long as the body runs.

    At a URI, and where the file system locks no files, other commands are not known, and nothing is refused.

    Raises:
        InputError: another command runs some of it.
    """
    claim = _claimed(location, names) if names and local_path(location) is not None else None
    try:
        yield
    finally:
        if claim is not None:
            Path(claim.lock_file).unlink(missing_ok=True)
            claim.release()


def _claimed(location: str, names: Set[str]) -> FileLock | None:
    """The lock of this command's file; None where files cannot be locked."""
    folder = Path(absolute_location(location)) / CLAIMS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / "commands", PATIENCE):
            for path in folder.glob("*.command"):
                if (other := _running(path)) is not None and not names.isdisjoint(other["names"]):
                    raise InputError(
                        f"--out {location}: process {other['process']} on {other['host']} is running trials of this "
                        "command; let it end (`run --shard K/N` divides a sweep among commands from the start)"
                    )
            path = folder / f"{uuid.uuid4().hex}.command"
            (claim := _lock(path)).acquire()
            path.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "names": sorted(names)}))
    except OSError:
        return None
    return claim


def _running(path: Path) -> dict[str, Any] | None:
    """What the command runs that wrote this file; None if it has ended."""
    try:
        with _lock(path):
            path.unlink(missing_ok=True)
    except Timeout:
        try:
            found: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found
    return None


def _lock(path: Path, patience: float = 0.0) -> FileLock:
    return FileLock(path, patience, thread_local=False, fallback_to_soft=False)
