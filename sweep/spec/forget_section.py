"""A spec's `forget` section."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from sweep.errors import InputError
from sweep.spec.axis import axis, combinations
from sweep.store.directory import Directory
from sweep.store.row_lists import RowList, read_row_list, row_list_from
from sweep.tasks.sections import Section
from sweep.tasks.splits import LISTED, fold_count

CLASS_VERSION = 2
"""The version of what forgetting a class means. Like a method's version it enters the identity: raise it with a change.

2: true labels decide what belongs to a class, and test accuracy and attack are of the other classes.
"""

KEYS = {
    "random": ("ratio",),
    "class": ("class",),
    "range": ("below", "above"),
    "group": ("group",),
    "given": (),
    "rows": ("path",),
}
"""The keys of each scenario: a spec gives one of them, and `fold` beside `ratio` where it likes."""


class ForgetSpec(Section):
    """Which samples are to be forgotten; every key but `scenario` is a grid axis."""

    scenario: Literal["random", "class", "range", "group", "given", "rows"] = Field(
        "random",
        description="samples at random, a class, a range of targets, a group, the dataset's own choice, or listed rows",
    )
    ratio: axis(Annotated[float, Field(gt=0, lt=1)]) | None = Field(  # type: ignore[valid-type]
        None, description="share of the training data that is forgotten (random)"
    )
    fold: axis(Annotated[int, Field(ge=0)]) | None = Field(  # type: ignore[valid-type]
        None,
        description="which of the disjoint shares of this ratio, from 0, the same samples in every seed; null: each "
        "seed draws its own (random)",
    )
    classes: axis(Annotated[int, Field(ge=0)] | str) | None = Field(  # type: ignore[valid-type]
        None, alias="class", description="class that is forgotten, by its label in the data (class)"
    )
    below: axis(float) | None = Field(  # type: ignore[valid-type]
        None, description="targets below this, in their own unit, are forgotten (range)"
    )
    above: axis(float) | None = Field(  # type: ignore[valid-type]
        None, description="targets above this, in their own unit, are forgotten (range)"
    )
    group: axis(str) | None = Field(  # type: ignore[valid-type]
        None, description="group that is forgotten, by its name in the data (group)"
    )
    path: axis(str) | None = Field(  # type: ignore[valid-type]
        None, description="CSV, Parquet or JSONL file whose column sample_id has the training rows, from 0 (rows)"
    )
    _lists: dict[str, RowList] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _default_ratio(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("scenario", "random") == "random" and data.get("ratio") is None:
            return {**data, "ratio": 0.1}
        return data

    @model_validator(mode="after")
    def _belongs(self) -> ForgetSpec:
        given = self._given()
        for scenario, keys in KEYS.items():
            for key in keys if scenario != self.scenario else ():
                if key in given:
                    raise ValueError(f"'{key}' needs scenario: {scenario}")
        if self.fold is not None and self.scenario != "random":
            raise ValueError("'fold' needs scenario: random")
        if KEYS[self.scenario] and len(given.keys() - {"fold"}) != 1:
            wanted = " or ".join(f"'{key}'" for key in KEYS[self.scenario])
            what = {"range": "number", "rows": "file"}.get(self.scenario, self.scenario)
            raise ValueError(f"scenario: {self.scenario} needs {wanted}, a {what} or a list of them")
        for ratio, fold in product(given.get("ratio", ()), given.get("fold", ())):
            if fold >= fold_count(ratio):
                raise ValueError(f"of ratio {ratio} there are folds 0 to {fold_count(ratio) - 1}, and no fold {fold}")
        return self

    def _given(self) -> dict[str, list[Any]]:
        """The keys that have values."""
        every = self.model_dump(by_alias=True, exclude={"scenario"})
        return {key: values for key, values in every.items() if values is not None}

    def sets(self) -> list[dict[str, Any]]:
        """The forget sets of this grid, as they enter a trial's identity."""
        if self.scenario == "rows":
            return [{"scenario": "rows", "rows": listed.id} for listed in self.lists()]
        version = {"version": CLASS_VERSION} if self.scenario == "class" else {}
        return [{"scenario": self.scenario} | each | version for each in combinations(self._given())]

    def alone(self) -> list[ForgetSpec]:
        """The same sets, each as a grid of its own."""
        given = {"classes" if key == "class" else key: values for key, values in self._given().items()}
        return [self.model_copy(update={key: [value] for key, value in each.items()}) for each in combinations(given)]

    def words(self) -> str:
        """What is forgotten, on one line."""
        if self.scenario == "rows":
            lists = zip(self.path or (), self.lists(), strict=True)
            return "rows of " + ", ".join(f"{path} ({len(listed.rows)})" for path, listed in lists)
        keys = [f"{key} {', '.join(map(str, values))}" for key, values in self._given().items()]
        return "; ".join(keys if self.scenario in self._given() else [self.scenario, *keys])

    def for_splits(self) -> list[dict[str, Any]]:
        """The forget sets of this grid, as `Splits.split` takes them."""
        if self.scenario == "rows":
            return [chosen | {LISTED: listed.rows} for chosen, listed in zip(self.sets(), self.lists(), strict=True)]
        return self.sets()

    def lists(self) -> list[RowList]:
        """The lists of rows of this grid; each file is read once.

        Raises:
            InputError: a file is missing, or is not as `read_row_list` takes it.
        """
        return [self._list(path) for path in self.path or ()]

    def find_lists(self, results: Directory) -> None:
        """Take the lists of rows whose files are missing from the results directory, where an earlier run stored them.

        Raises:
            InputError: as `lists`.
            OSError: a stored list cannot be read.
        """
        for path in self.path or ():
            self._list(path, results)

    def _list(self, path: str, results: Directory | None = None) -> RowList:
        if path not in self._lists:
            found = read_row_list(path) or (row_list_from(results, path) if results else None)
            if found is None:
                raise InputError(f"forget.path: no file '{path}'")
            self._lists[path] = found
        return self._lists[path]
