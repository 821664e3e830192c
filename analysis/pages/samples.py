"""What a page may be given of the data set itself: images, texts, and what outputs stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass
class Samples:
    """The samples of a data set, as people see them; of this one nothing is known but its classes.

    `part` is as in the column `split` of `predictions`. A sample that is not there is empty.

    Attributes:
        unknown: why nothing is known, as a sentence; empty if that needs no word.
        classes: what the data set's source calls the classes; empty: by their numbers.
    """

    unknown: str = ""
    classes: Sequence[str] = ()

    def png(self, part: str, sample: int) -> bytes:
        """A sample's image as PNG; empty if there is none."""
        return b""

    def text(self, part: str, sample: int) -> str:
        """A sample's question, or the text that it is; empty if there is none."""
        return ""

    def answers(self, part: str, sample: int) -> Sequence[str]:
        """What the outputs for a sample stand for: classes, or candidate answers; those beyond go by their numbers."""
        return self.classes


Open = Callable[[str], Samples]
"""The column `config` of a trial -> its data set."""
