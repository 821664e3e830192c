"""Finds the Parquet files of a dataset, and the split that each belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from sweep.errors import InputError, first_line
from sweep.store.location import open_location
from sweep.store.retry import steady
from sweep.tasks.node_cache import local_copy


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        name: its path, below the dataset's path as the spec gives it.
        open: opens it as a file on this machine.
    """

    name: str
    open: Callable[[], pa.NativeFile]

    def parquet(self) -> pq.ParquetFile:
        """The file as Parquet. Raises InputError if it is no Parquet file."""
        try:
            return pq.ParquetFile(self.open())
        except pa.ArrowException as error:
            raise InputError(f"'{self.name}' is not Parquet: {first_line(error)}") from error


def find_both(location: str, train: str, test: str) -> tuple[list[Shard], list[Shard]]:
    """The files of the training and of the test split.

    Raises:
        InputError: as `find_shards`; or both splits have one name.
    """
    if train == test:
        raise InputError(f"train_split and test_split are both '{train}'")
    return (
        find_shards(location, train, other=test, option="train_split"),
        find_shards(location, test, other=train, option="test_split"),
    )


def find_shards(location: str, split: str, other: str, option: str) -> list[Shard]:
    """The files of a split, sorted by their paths.

    The start of a file's name says which split it belongs to; if not, the name of the nearest folder that does.

    Args:
        other: the name of the dataset's other split.
        option: the key of a spec that names `split`.

    Raises:
        InputError: the directory does not exist, or has no file of the split.
    """
    filesystem, root = open_location(location)
    try:
        infos = steady(lambda: filesystem.get_file_info(pafs.FileSelector(root, recursive=True)))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"no directory '{location}'") from error
    files = {
        PurePosixPath(info.path).relative_to(root): info
        for info in sorted(infos, key=lambda info: info.path)
        if info.is_file and info.path.endswith(".parquet")
    }
    names = sorted((split, other), key=len, reverse=True)  # the longer name first, in case it starts with the shorter
    found = [
        Shard(f"{location.rstrip('/')}/{path}", partial(_open, filesystem, location, info))
        for path, info in files.items()
        if _split_of(path, names) == split
    ]
    if not found:
        there = sorted({name for path in files if (name := _named_split(path))})
        which = f"it has {', '.join(there)}; set dataset.{option} to one of them" if there else "it has no Parquet file"
        raise InputError(f"'{location}' has no Parquet file for '{split}': {which}")
    return found


def _open(filesystem: pafs.FileSystem, location: str, info: pafs.FileInfo) -> pa.NativeFile:
    if isinstance(filesystem, pafs.LocalFileSystem):
        return filesystem.open_input_file(info.path)
    return pa.OSFile(str(local_copy(filesystem, location, info)))


def _split_of(path: PurePosixPath, names: list[str]) -> str | None:
    return next((name for part in reversed(path.parts) for name in names if part.startswith(name)), None)


def _named_split(path: PurePosixPath) -> str | None:
    """The first word in a file's name; if it has none, as `0000.parquet`, that of the nearest folder with one."""
    words = (re.match(r"[A-Za-z]\w*", part.removesuffix(".parquet")) for part in reversed(path.parts))
    return next((word.group() for word in words if word), None)
