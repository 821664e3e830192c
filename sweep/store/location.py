"""Where data and results lie: a local path, or a URI that `pyarrow.fs` opens."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import fs as pafs

from sweep.errors import InputError
from sweep.store.redaction import has_password, redacted


def is_uri(location: str) -> bool:
    """Whether a location is a URI, and no path."""
    return "://" in location


def expanded(path: str) -> Path:
    """The path with a `~` or `~user` at its start replaced by that user's home folder.

    Raises:
        InputError: there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"'{path}': there is no home folder '{Path(path).parts[0]}'") from None


def local_path(location: str) -> Path | None:
    """The path of a location that is a path or a URI of this machine's files (file:///...); None for another URI.

    Raises:
        InputError: as `expanded`; or it is no text, which Arrow and specs need: not UTF-8, or with a null character; or
            pyarrow.fs does not know the URI, or it names no folder.
    """
    try:
        location.encode()
    except UnicodeEncodeError:
        raise InputError(f"{location!a}: the name is not UTF-8; rename it") from None
    if "\0" in location:
        raise InputError(f"{location!a}: a name has no null character")
    if not is_uri(location):
        return expanded(location)
    return Path(_opened(location)[1]) if location.startswith("file://") else None


def absolute_location(location: str) -> str:
    """The same location as an absolute path or URI, so that it means the same in any working directory.

    Raises:
        InputError: as `local_path` does.
    """
    path = local_path(location)
    return location if path is None else str(path.absolute())


def open_location(location: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a location, and the absolute path in it.

    Raises:
        InputError: as `local_path`; or a URI names no folder, cannot be opened by pyarrow.fs, or holds a
            password, which specs and results would store.
    """
    if local_path(location) is not None:
        return pafs.LocalFileSystem(), absolute_location(location)
    if has_password(location):
        raise InputError(
            f"'{redacted(location)}' names a password, which would be stored; leave it to the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS) or the machine's role"
        )
    return _opened(location)


def _opened(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        filesystem, path = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"'{redacted(uri)}' cannot be opened: {redacted(str(error)).splitlines()[0]}") from error
    if not path.strip("/"):
        raise InputError(f"'{redacted(uri)}' names no bucket or folder")
    return filesystem, path.rstrip("/")
