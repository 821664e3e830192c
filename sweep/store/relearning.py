"""Relearning: what is taught to a copy of an unlearned model to see how much it still holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from sweep.store.content_ids import canonical_json, content_id
from sweep.words import counted

Taught = Literal["retain", "forget"]

VERSION = 1
"""Of how a recipe is carried out; it is raised where the same recipe gives something else."""


@dataclass(frozen=True)
class Relearning:
    """A recipe.

    Attributes:
        data: what the copy is fine-tuned on. On the retain set no forget label is shown, so that what comes back was
            still in the weights (Siddiqui et al. 2025). On the forget set it counts how fast it comes back.
        epochs: passes over that.
        lr: learning rate, constant.
        batch_size: samples per step.
    """

    data: Taught
    epochs: int
    lr: float
    batch_size: int

    @property
    def text(self) -> str:
        """Canonical JSON of what determines the outcome, beside the trial."""
        return canonical_json(asdict(self) | {"version": VERSION})

    @classmethod
    def of(cls, text: str) -> Relearning:
        """The recipe of such a text, of any version."""
        return cls(**{key: value for key, value in json.loads(text).items() if key != "version"})

    @property
    def id(self) -> str:
        """Hash of `text`."""
        return content_id(self.text)

    @property
    def words(self) -> str:
        """The recipe in words."""
        passes = counted(self.epochs, "epoch")
        return f"{passes} on the {self.data} set, lr {self.lr:g}, batches of {self.batch_size}"
