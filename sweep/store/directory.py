"""A directory whose files are each there whole or not at all. Imports neither torch nor ray."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs as pafs

from sweep.errors import InputError
from sweep.store.location import open_location
from sweep.store.parquet import fetch
from sweep.store.retry import steady

OBJECT_STORES = ("s3", "gcs")
"""File systems in which a file needs no folder."""


class Directory:
    """A directory, local or a URI that `pyarrow.fs` opens. Paths are relative to it."""

    def __init__(self, location: str) -> None:
        """Raises InputError if the URI cannot be opened, or no directory can lie at the path. Creates nothing."""
        self.location = location
        self.filesystem, self._root = open_location(location)
        if isinstance(self.filesystem, pafs.LocalFileSystem):
            _require_possible(self._root, location)

    def exists(self, folder: str = "") -> bool:
        """Whether the directory exists, or a folder in it."""
        place = self._inside(folder).rstrip("/")
        return bool(steady(lambda: self.filesystem.get_file_info(place)).type == pafs.FileType.Directory)

    def holds(self, other: Directory) -> bool:
        """Whether the other directory is this one, or lies in it; neither need exist."""
        if isinstance(self.filesystem, pafs.LocalFileSystem) and isinstance(other.filesystem, pafs.LocalFileSystem):
            return Path(other._root).resolve().is_relative_to(Path(self._root).resolve())
        return bool(self.filesystem.equals(other.filesystem)) and f"{other._root}/".startswith(f"{self._root}/")

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            OSError: it cannot be stored.
        """
        target = self._inside(path)
        steady(lambda: self._write(target, content))

    def read(self, path: str) -> bytes | None:
        """A file's content; None if there is no such file.

        Raises:
            OSError: the file exists and cannot be read.
        """
        try:
            return fetch(self.filesystem, self._inside(path))
        except FileNotFoundError:
            return None

    def read_start(self, path: str, count: int) -> tuple[bytes, int] | None:
        """A file's first bytes, at most `count`, and its size in bytes; None if there is no such file.

        Raises:
            OSError: the file exists and cannot be read.
        """
        place = self._inside(path)

        def read() -> tuple[bytes, int]:
            with self.filesystem.open_input_file(place) as stream:
                return bytes(stream.read(count)), stream.size()

        try:
            return steady(read)
        except FileNotFoundError:
            return None

    def info(self, path: str) -> pafs.FileInfo:
        """A file's size, and when it was written by the storage's clock; its type is `NotFound` if there is none."""
        place = self._inside(path)
        return steady(lambda: self.filesystem.get_file_info(place))

    def size(self, path: str) -> int | None:
        """A file's size in bytes; None if there is no such file."""
        info = self.info(path)
        return info.size if info.is_file else None

    def files(self, folder: str, ending: str = ".parquet") -> list[pafs.FileInfo]:
        """The folder's files with this ending, ordered by name, without hidden ones; none if there is no folder."""
        selector = pafs.FileSelector(self._inside(folder), allow_not_found=True)
        try:
            found = steady(lambda: self.filesystem.get_file_info(selector))
        except FileNotFoundError:  # the folder was made while pyarrow looked for it
            return []
        named = ((info.base_name, info) for info in found if info.is_file)
        shown = [(name, info) for name, info in named if name.endswith(ending) and not name.startswith((".", "_"))]
        return [info for _, info in sorted(shown, key=lambda pair: pair[0])]

    def names(self, folder: str) -> list[str]:
        """The names of a folder's files, without hidden ones; none if the folder does not exist."""
        return [info.base_name for info in self.files(folder, ending="")]

    def remove(self, path: str) -> None:
        """Remove a file if it exists.

        Raises:
            OSError: it cannot be removed.
        """
        with suppress(FileNotFoundError):
            steady(lambda: self.filesystem.delete_file(self._inside(path)))

    def _inside(self, path: str) -> str:
        """The absolute path of a file of the directory. Raises InputError if it would lie outside."""
        if path.startswith("/") or ".." in path.split("/"):
            raise InputError(f"'{path}' is not inside the results directory")
        return f"{self._root}/{path}"

    def _write(self, target: str, content: bytes) -> None:
        if isinstance(self.filesystem, pafs.LocalFileSystem):
            path = Path(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            with appearing(path) as temporary, temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            return
        if self.filesystem.type_name not in OBJECT_STORES:
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(target) as stream:  # object stores publish on close
            stream.write(content)


def _require_possible(path: str, location: str) -> None:
    """Raise InputError if the path, or one above it, is a file, or if a name is too long."""
    try:
        there = os.stat(path)
    except FileNotFoundError:  # also where a name is too long, in a folder that is not there yet
        if max(map(len, os.fsencode(path).split(b"/"))) > os.pathconf("/", "PC_NAME_MAX"):
            raise InputError(f"{location}: {os.strerror(errno.ENAMETOOLONG)}") from None
        return
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        raise InputError(f"{location}: {os.strerror(error.errno)}") from error
    if not stat.S_ISDIR(there.st_mode):
        raise InputError(f"{location}: is not a directory")


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A path to write to; the file is renamed to `target` when the body has ended without an exception."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
