"""A results directory that is only looked at: nothing is written to it, and its index is kept in memory instead."""

from __future__ import annotations

import time

from pyarrow import fs as pafs

from sweep.store.index import INDEX
from sweep.store.results import Results


class ReadOnly(Results):
    """`Results` whose index (`sweep.store.index`) is the one of the directory and, above it, one in memory."""

    def __init__(self, location: str) -> None:
        """Raises InputError if the URI cannot be opened."""
        super().__init__(location)
        self._held: dict[str, tuple[bytes, int]] = {}

    def write(self, path: str, content: bytes) -> None:
        """Keep a file of the index in memory.

        Raises:
            PermissionError: it is another file.
        """
        if not path.startswith(f"{INDEX}/"):
            raise PermissionError(f"{self.location} is only read: {path} is not written")
        self._held[path] = content, time.time_ns()

    def remove(self, path: str) -> None:
        """Forget a file that is kept in memory."""
        self._held.pop(path, None)

    def read(self, path: str) -> bytes | None:
        held = self._held.get(path)
        return super().read(path) if held is None else held[0]

    def info(self, path: str) -> pafs.FileInfo:
        if path not in self._held:
            return super().info(path)
        content, written = self._held[path]
        return pafs.FileInfo(path, pafs.FileType.File, size=len(content), mtime_ns=written)

    def names(self, folder: str) -> list[str]:
        held = [path.removeprefix(f"{folder}/") for path in self._held if path.startswith(f"{folder}/")]
        return sorted({*super().names(folder), *held})
