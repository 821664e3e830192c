"""Claims on originals: of several commands on one results directory, one trains an original and the others wait.

    DIR/.claims/<original_id>.lock   empty; the command that trains the original holds the system's lock of this file

The system releases the locks of a process that dies, so no claim outlives its command. The files stay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.store.location import absolute_location
from sweep.store.results import Results

CLAIMS = ".claims"


class Claims:
    """The claims of one command on originals.

    Args:
        results: a results directory on a path.
        stored: whether an original is there and need not be trained.
    """

    def __init__(self, results: Results, stored: Callable[[str], bool]) -> None:
        self._results = results
        self._stored = stored
        self._folder = Path(absolute_location(results.location)) / CLAIMS
        self._held: dict[str, FileLock] = {}

    def stored(self, original_id: str) -> bool:
        """Whether an original need not be trained."""
        self._results.names("models")  # else a network file system may still say that it is missing
        return self._stored(original_id)

    def take(self, original_id: str) -> bool:
        """Claim an original, unless another command has: return whether this one has it now.

        Raises:
            OSError: the results directory cannot be written, or its file system locks no files.
        """
        if original_id not in self._held:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / f"{original_id}.lock", thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return False
            except OSError as error:
                raise OSError(f"{self._folder}: {error}") from error
            self._held[original_id] = lock
        return True

    def release(self, original_id: str) -> None:
        """Give a claim up, if this command has it."""
        lock = self._held.pop(original_id, None)
        if lock is not None:
            lock.release()
