"""Names that shells complete. They are read from source files, because importing what they name takes seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path


def completed(what: str) -> Callable[[str], list[str]]:
    """What completes a name: a function from its beginning to the names that begin so.

    Args:
        what: `methods`, `presets`, `datasets`, `models`, `kinds`, `metrics`, or `specs`: presets and YAML files.
    """

    def names(incomplete: str) -> list[str]:
        return [name for name in FOUND[what]() if name.startswith(incomplete)]

    def specs(incomplete: str) -> list[str]:
        return [*completed("presets")(incomplete), *map(str, sorted(Path().glob(f"{incomplete}*.yaml")))]

    return specs if what == "specs" else names


def _methods() -> Iterable[str]:
    folder = Path(str(getattr(find_spec("methods"), "origin", ""))).parent
    return sorted(name for path in folder.glob("*.py") for name in _found(path, r'^    name(?:: .+)? = "(.+)"$'))


def _keys(module: str) -> Iterable[str]:
    """The keys of the dictionaries that a module writes out, a line each."""
    return _found(Path(str(getattr(find_spec(module), "origin", ""))), r'^    "(.+)": \w')


def _presets() -> Iterable[str]:
    from sweep.spec.spec_file import presets

    return presets()


def _kinds() -> Iterable[str]:
    from sweep.store.metrics import KINDS

    return KINDS


def _metrics() -> Iterable[str]:
    from sweep.store.metrics import FURTHER, KINDS

    return sorted({metric.column for table in (KINDS, FURTHER) for found in table.values() for metric in found})


def _found(path: Path, pattern: str) -> list[str]:
    return re.findall(pattern, path.read_text("utf-8"), re.MULTILINE)


FOUND: dict[str, Callable[[], Iterable[str]]] = {
    "methods": _methods,
    "presets": _presets,
    "datasets": lambda: _keys("sweep.tasks.datasets"),
    "models": lambda: _keys("sweep.tasks.models"),
    "kinds": _kinds,
    "metrics": _metrics,
}
