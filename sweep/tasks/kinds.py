"""The built-in kinds of task."""

from __future__ import annotations

from sweep.tasks.classification import Classification
from sweep.tasks.kind import Kind
from sweep.tasks.regression import Regression

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Classification(), Regression())}
