"""What a node keeps for all its processes: copies of files at a URI, and images that were decoded."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sweep.store.retry import steady

BLOCK = 1 << 24


def cache_folder() -> Path:
    """Where copies lie: `UNLEARN_SWEEP_CACHE`, else `unlearn-sweep` in the user's cache folder."""
    named = os.environ.get("UNLEARN_SWEEP_CACHE")
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "unlearn-sweep"
    except RuntimeError as error:  # as in containers that run as a user without a home
        raise OSError(f"no folder for copies: {error} Set UNLEARN_SWEEP_CACHE") from error


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


def kept_array(name: str, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What `make` returns, made once on this node: after that it is the file of that name, mapped into memory.

    Where nothing can be kept it is made each time.
    """
    try:
        path = cache_folder() / f"{name}.npy"
        lock = FileLock(f"{path}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        return make()
    try:
        with suppress(OSError, ValueError, EOFError):  # missing, or damaged
            return np.asarray(np.load(path, mmap_mode="c"))  # "c": what is written there stays in this process
        made = make()
        with suppress(OSError), _appearing(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, made)
        return made
    finally:
        lock.release()


def _copy(filesystem: pafs.FileSystem, source: str, target: Path) -> None:
    with (
        _appearing(target) as temporary,
        filesystem.open_input_stream(source) as stream,
        temporary.open("wb") as copy,
    ):
        shutil.copyfileobj(stream, copy, BLOCK)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Where to write a file that appears in its place when it is complete."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
