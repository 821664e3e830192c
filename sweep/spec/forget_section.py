"""A spec's `forget` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweep.spec.options import axis
from sweep.tasks.sections import Section

CLASS_VERSION = 2
"""The version of what forgetting a class means. Like a method's version it enters the identity: raise it with a change.

2: true labels decide what belongs to a class, and test accuracy and attack are of the other classes.
"""

KEYS = {"random": ("ratio",), "class": ("class",), "range": ("below", "above"), "group": ("group",), "given": ()}
"""The keys of each scenario: a spec gives one of them."""


class ForgetSpec(Section):
    """Which samples are to be forgotten; every key but `scenario` is a grid axis."""

    scenario: Literal["random", "class", "range", "group", "given"] = Field(
        "random",
        description="samples at random, a class, a range of targets, a group, or the dataset's own choice",
    )
    ratio: axis(Annotated[float, Field(gt=0, lt=1)]) | None = Field(  # type: ignore[valid-type]
        None, description="share of the training data that is forgotten (random)"
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
        if KEYS[self.scenario] and len(given) != 1:
            wanted = " or ".join(f"'{key}'" for key in KEYS[self.scenario])
            what = {"range": "number"}.get(self.scenario, self.scenario)
            raise ValueError(f"scenario: {self.scenario} needs {wanted}, a {what} or a list of them")
        return self

    def _given(self) -> dict[str, list[Any]]:
        """The keys that have values."""
        every = self.model_dump(by_alias=True, exclude={"scenario"})
        return {key: values for key, values in every.items() if values is not None}

    def sets(self) -> list[dict[str, Any]]:
        """The forget sets of this grid, as they enter a trial's identity."""
        version = {"version": CLASS_VERSION} if self.scenario == "class" else {}
        chosen = [{key: value} for key, values in self._given().items() for value in values]
        return [{"scenario": self.scenario} | each | version for each in chosen or [{}]]
