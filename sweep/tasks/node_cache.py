"""A node's cache for all its processes: copies of files at a URI, and decoded images."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sweep.store.directory import appearing
from sweep.store.retry import steady

BLOCK = 1 << 24


def cache_folder() -> Path:
    """The cache: `UNLEARN_SWEEP_CACHE`, else `unlearn-sweep` in the user's cache folder.

    Raises:
        OSError: neither the variable nor a home folder is there.
    """
    named = os.environ.get("UNLEARN_SWEEP_CACHE")
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "unlearn-sweep"
    except RuntimeError as error:  # as in containers that run as a user without a home
        raise OSError(f"no folder for copies: {error} Set UNLEARN_SWEEP_CACHE") from error


def local_copy(filesystem: pafs.FileSystem, location: str, info: pafs.FileInfo) -> Path:
    """The copy of a file on this node. A file that has changed is copied anew.

    Args:
        location: the URI under which the file was found: two servers may have files of the same path.

    Raises:
        OSError: the file cannot be read, or the copy cannot be stored.
    """
    known = f"{location} {info.path} {info.size} {info.mtime_ns}"
    path = cache_folder() / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            steady(lambda: _copy(filesystem, info.path, path))
    return path


def kept_array(name: str, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What `make` returns. The first process on this node calls it and stores the array; others map that file.

    Where the cache cannot be written, every process calls `make`.
    """
    try:
        path = cache_folder() / f"{name}.npy"
        lock = FileLock(f"{path}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        return make()
    try:
        with suppress(OSError, ValueError, EOFError):  # the file is missing or damaged
            return np.asarray(np.load(path, mmap_mode="c"))  # "c": changes to the array do not reach the file
        made = make()
        with suppress(OSError), appearing(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, made)
        return made
    finally:
        lock.release()


def _copy(filesystem: pafs.FileSystem, source: str, target: Path) -> None:
    with (
        appearing(target) as temporary,
        filesystem.open_input_stream(source) as stream,
        temporary.open("wb") as copy,
    ):
        shutil.copyfileobj(stream, copy, BLOCK)
