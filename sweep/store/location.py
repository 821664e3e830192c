"""Where data and results lie: a local path, or a URI that `pyarrow.fs` opens."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import fs as pafs

from sweep.errors import InputError
from sweep.store.redaction import has_password, redacted


def absolute_location(location: str) -> str:
    """The same location as an absolute path or URI, so that it means the same in any working directory.

    Raises:
        InputError: it is no text, which Arrow and specs need: not UTF-8, or with a null character.
    """
    try:
        location.encode()
    except UnicodeEncodeError:
        raise InputError(f"{location!a}: the name is not UTF-8; rename it") from None
    if "\0" in location:
        raise InputError(f"{location!a}: a name has no null character")
    return location if "://" in location else str(Path(location).expanduser().absolute())


def open_location(location: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a location, and the absolute path in it.

    Raises:
        InputError: as `absolute_location`; or a URI names no folder, cannot be opened by pyarrow.fs, or holds a
            password, which specs and results would store.
    """
    absolute = absolute_location(location)
    if "://" not in location:
        return pafs.LocalFileSystem(), absolute
    if has_password(location):
        raise InputError(
            f"'{redacted(location)}' names a password, which would be stored; leave it to the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS) or the machine's role"
        )
    try:
        filesystem, path = pafs.FileSystem.from_uri(location)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"'{location}' cannot be opened: {redacted(str(error)).splitlines()[0]}") from error
    if not path.strip("/"):
        raise InputError(f"'{redacted(location)}' names no bucket or folder")
    return filesystem, path.rstrip("/")
