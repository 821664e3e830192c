"""What may stand for a spec, and for overrides of its keys."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

Source = str | os.PathLike[str] | Mapping[str, Any]
"""A spec file's path, a preset's name, or what such a file says as plain data."""

Overrides = Sequence[str] | Mapping[str, Any]
"""`PATH=VALUE` as on the command line, the value in YAML; or values by their paths."""


def called(source: Source) -> str:
    """What messages call a spec: its file or preset; a mapping is `spec`."""
    return "spec" if isinstance(source, Mapping) else os.fspath(source)
