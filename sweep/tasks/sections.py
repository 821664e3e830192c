"""Parts of a spec file as pydantic models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


class OpenSection(Section):
    """A part of a spec whose further keys depend on what it names."""

    model_config = ConfigDict(extra="allow")
