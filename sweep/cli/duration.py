"""Durations as people write them."""

from __future__ import annotations

import re

from sweep.errors import InputError


def seconds(option: str, text: str) -> float:
    """Seconds of a duration as 2h, 1h30m, 90s.

    Raises:
        InputError: it is none; `option` is named.
    """
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text)
    if found is None or not text:
        raise InputError(f"{option} {text}: write hours, minutes, seconds, as in 2h or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds
