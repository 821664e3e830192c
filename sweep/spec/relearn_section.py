"""The section of a spec that says what unlearned models are taught again."""

from __future__ import annotations

from pydantic import Field

from sweep.store.relearning import Taught
from sweep.tasks.sections import Section


class RelearnSpec(Section):
    """What a copy of each unlearned model is fine-tuned on, to see what it still holds. It changes no trial."""

    data: Taught = Field("retain", description="retain: what comes back unasked; forget: how many steps it takes")
    epochs: int = Field(3, ge=1, description="passes over these samples")
    lr: float | None = Field(None, gt=0, description="learning rate; null: a tenth of training.lr")
    batch_size: int | None = Field(None, ge=1, description="samples per step; null: as in training")
