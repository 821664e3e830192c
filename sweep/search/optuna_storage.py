"""The Optuna storage that a search's studies may live in, so that dashboards and Optuna's own tools can read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage

from sweep.errors import InputError, Unsuccessful, first_line

CONNECT_SECONDS = 10
"""How long a database server may take to accept a connection."""


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL such as sqlite:///search.db.

    Raises:
        InputError: it is no URL of a storage, its driver is not installed, or the storage does not answer.
    """
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError(f"--storage: '{url.rpartition('@')[2]}' is no URL such as sqlite:///search.db") from None
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    shown = address.render_as_string(hide_password=True)
    options: dict[str, Any] = {}
    if address.get_backend_name() in ("postgresql", "mysql"):
        options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}
    try:
        return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=options)
    except ImportError as error:
        raise InputError(f"--storage: {shown}: the driver is not installed: {_first_line(error)}") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ValueError) as error:
        raise InputError(f"--storage: {shown}: {_first_line(error)}") from error


@contextmanager
def storage_needed() -> Iterator[None]:
    """Turn errors of the storage in the body into one line, which ends the search.

    Raises:
        Unsuccessful: the storage failed.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise Unsuccessful(
            f"--storage: failed: {_first_line(error)}; what was stored in the results is kept, and the same command "
            "goes on, with or without a storage"
        ) from error


def _first_line(error: Exception) -> str:
    return first_line(getattr(error, "orig", None) or error.__cause__ or error)
