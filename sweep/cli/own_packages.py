"""Whether the packages of this project are what Python finds under their names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sweep.errors import InputError


def require_own_packages() -> None:
    """Refuse to run where another module, on PYTHONPATH or in a notebook's folder, hides one of the packages.

    Raises:
        InputError: one does.
    """
    for name in ("analysis", "methods"):
        found = find_spec(name)
        place = None if found is None else found.origin or next(iter(found.submodule_search_locations or ()), None)
        if place is None or Path(place).parent.resolve() != Path(__file__).parents[2].resolve() / name:
            raise InputError(f"{place} hides this project's package '{name}'; give it another name")
