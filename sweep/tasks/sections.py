"""Parts of a spec file as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


class OpenSection(Section):
    """A part of a spec whose further keys depend on what it names."""

    model_config = ConfigDict(extra="allow")

    @property
    def own_options(self) -> dict[str, Any]:
        """These further keys."""
        return dict(self.model_extra or {})
