"""The base class of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from sweep.tasks.kind import Kind, Outline


@dataclass(frozen=True)
class Dataset(ABC):
    """A source of data. Subclasses are frozen dataclasses whose fields are the options a spec may set.

    `kind` says what kind of task the data is for: a built-in one by its name, or a plugin's class. A class attribute
    with the name of one of the kind's keys in a spec (`crop`, for instance) is that key's default for this dataset.
    """

    kind: ClassVar[str | type[Kind]] = "classification"
    crop: ClassVar[int] = 0
    flip: ClassVar[bool] = False
    located_by: ClassVar[tuple[str, ...]] = ()
    """Options that say where the data lies, not what it is. They are no part of a trial's identity."""
    came_later: ClassVar[tuple[str, ...]] = ()
    """Options that enter a trial's identity only where they are not at their defaults, so that older ids stay."""

    @abstractmethod
    def load(self) -> Any:
        """Read the whole dataset: `Images`, for classification.

        Raises:
            InputError: the data is missing or not as described.
        """

    def outline(self, model: Mapping[str, Any] = MappingProxyType({})) -> Outline:
        """The outline of the data for a network whose name and options in a spec are `model`.

        Raises what `load` raises, and InputError where such a network cannot take it.
        """
        kind = kind_of(type(self))
        return kind.outline(kind.for_model(self.load(), model))

    def fingerprint(self) -> str | None:
        """A hash of the content if the options do not determine it; else None. Called once per plan.

        Raises:
            InputError: the data is missing.
        """
        return None


@cache
def kind_of(dataset: type[Dataset]) -> Kind:
    """The kind of task that a dataset is for."""
    if not isinstance(dataset.kind, str):
        return dataset.kind()
    from sweep.tasks.kinds import KINDS

    return KINDS[dataset.kind]
