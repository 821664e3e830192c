"""A spec's `search` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweep.spec.axis import axis
from sweep.tasks.sections import OpenSection, Section

SamplerName = Literal["tpe", "gp", "nsga2", "random"]
PrunerName = Literal["median", "asha", "none"]
ObjectiveName = Literal["average_gap", "forget_gap", "retain_gap", "cost"]
MOST_TRIALS = 1000
"""Suggestions for each method at most, where `compute` is given and `trials` is not: a method may cost nothing."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class SearchedMethodSpec(OpenSection):
    """A method and, for each hyperparameter named, a value (fixed), a list (categories) or a range.

    A range is a mapping with some of `low`, `high` and `log`. A hyperparameter that is not named has the method's own
    range.
    """

    name: str


class SearchSpec(Section):
    """Hyperparameters that Optuna finds, with the same budget for each method, judged on seeds it did not see."""

    methods: list[SearchedMethodSpec] = Field(min_length=1)
    trials: int = Field(40, ge=1, description="suggestions for each method; beside compute at most")
    compute: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="what each method's suggestions may compute, in passes of one Retrain; null: anything",
    )
    sampler: SamplerName = Field("tpe", description="Optuna's sampler")
    sampler_seed: int = Field(0, ge=0, description="of the sampler's random numbers")
    objective: axis(ObjectiveName) = Field(  # type: ignore[valid-type]
        ["average_gap"], description="what is minimised; several: the front of those that nothing beats in all"
    )
    seeds: axis(Seed) = Field([0, 1], description="run one after another for each suggestion")  # type: ignore[valid-type]
    confirm_seeds: axis(Seed) = Field(  # type: ignore[valid-type]
        [100, 101, 102], description="on which the best is compared; the search does not see them"
    )
    pruner: PrunerName | None = Field(
        None, description="ends suggestions that are hopeless after a seed; null: median, or none of several objectives"
    )
    confirm: Literal["best", "pareto"] | None = Field(
        None, description="what runs on confirm_seeds; null: best, or pareto of several objectives"
    )

    @model_validator(mode="before")
    @classmethod
    def _most_trials(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("compute") is not None:
            return {"trials": MOST_TRIALS} | data
        return data

    @model_validator(mode="after")
    def _fits(self) -> SearchSpec:
        for key in ("objective", "seeds", "confirm_seeds"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: a value is given twice")
        if both := sorted(set(self.seeds) & set(self.confirm_seeds)):
            raise ValueError(f"confirm_seeds: the search sees {both[0]} too; the two must have no seed in common")
        if len(self.objective) > 1 and self.pruner not in (None, "none"):
            raise ValueError(f"pruner: {self.pruner} needs one objective; with several use none")
        if len(self.objective) > 1 and self.confirm == "best":
            raise ValueError("confirm: best needs one objective; with several use pareto")
        return self

    @property
    def pruner_name(self) -> PrunerName:
        """The pruner, with the default filled in."""
        return self.pruner or ("median" if len(self.objective) == 1 else "none")

    @property
    def confirms_front(self) -> bool:
        """Whether every point of the Pareto front is confirmed."""
        return (self.confirm or ("best" if len(self.objective) == 1 else "pareto")) == "pareto"
