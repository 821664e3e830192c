"""What a page may be given of the data set itself: images, and names of classes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Protocol


class Pictures(Protocol):
    """Images of a data set.

    Attributes:
        classes: what its source calls the classes; empty: by their numbers.
    """

    classes: Sequence[str]

    def png(self, part: str, sample: int) -> bytes:
        """A sample's image as PNG; `part` as in the column `split` of `predictions`.

        Raises:
            IndexError: there is no such sample.
        """


Open = Callable[[str], Pictures | str]
"""The column `config` of a trial -> the images of its data set; or why there are none, empty if it is not of images."""


def none(config: str) -> str:
    """No images, and nothing to say of it."""
    return ""


def source(pictures: Pictures | str, part: str, sample: int) -> str:
    """A sample's image as a data URI; empty if there is none."""
    if isinstance(pictures, str):
        return ""
    try:
        content = pictures.png(part, sample)
    except IndexError:
        return ""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
