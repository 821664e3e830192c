"""Files of a dataset at a URI, copied once to each node however many processes there need them."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path

from filelock import FileLock
from pyarrow import fs as pafs

from sweep.storage import steady

BLOCK = 1 << 24


def cache_folder() -> Path:
    """Where copies lie: `UNLEARN_SWEEP_CACHE`, else `unlearn-sweep` in the user's cache folder."""
    named = os.environ.get("UNLEARN_SWEEP_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "unlearn-sweep"


def local_copy(filesystem: pafs.FileSystem, location: str, info: pafs.FileInfo) -> Path:
    """A copy of a file on this node; one that changed there is copied anew.

    Args:
        location: the URI that the file was found under, which tells apart files of one path on two servers.

    Raises:
        OSError: it cannot be read, or not be stored here.
    """
    known = f"{location} {info.path} {info.size} {info.mtime_ns}"
    path = cache_folder() / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            steady(lambda: _copy(filesystem, info.path, path))
    return path


def _copy(filesystem: pafs.FileSystem, source: str, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with filesystem.open_input_stream(source) as stream, temporary.open("wb") as copy:
            shutil.copyfileobj(stream, copy, BLOCK)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
