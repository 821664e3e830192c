"""What a script, python -m analysis.<name>, does with bad input and with damaged files: the same as commands do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from analysis.reading.frames import Frames, read_frames
from sweep.errors import InputError
from sweep.store.results import existing_results


@contextmanager
def bad_input_in_one_line() -> Iterator[None]:
    """Where the body raises InputError, end the script with its line and status 2."""
    try:
        yield
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


def frames_of(directory: str) -> Frames:
    """The rows of a results directory. Names files that cannot be read on standard error.

    Raises:
        InputError: there are no results.
    """
    frames = read_frames(existing_results(directory))
    for problem in frames.damaged:
        print(f"warning: {problem}", file=sys.stderr)
    return frames
